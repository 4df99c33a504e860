//! The pure parts of the fetch consumer: no broker, no clock.

mod delivery;
mod fetcher;
mod response;

/// Writes a Fetch response.
pub(super) struct ResponseBuilder {
    version: i16,
    body: Vec<u8>,
}

/// One partition of a response.
#[derive(Clone, Debug, Default)]
pub(super) struct PartitionBuilder {
    pub(super) id: i32,
    pub(super) error: i16,
    pub(super) high_watermark: i64,
    pub(super) last_stable_offset: i64,
    pub(super) aborted: Vec<(i64, i64)>,
    pub(super) preferred_replica: Option<i32>,
    pub(super) diverging: Option<(i32, i64)>,
    pub(super) records: Vec<u8>,
}

pub(super) fn topic_id(name: &str) -> uuid::Uuid {
    uuid::Uuid::from_u128(name.bytes().map(u128::from).sum())
}

impl ResponseBuilder {
    fn is_flexible(&self) -> bool {
        self.version >= 12
    }

    fn count(&mut self, count: usize) {
        if self.is_flexible() {
            assert!(count < 127 * 128, "two bytes are enough for tests");
            let number = count + 1;
            if number >= 0x80 {
                self.body.push(number as u8 | 0x80);
                self.body.push((number >> 7) as u8);
            } else {
                self.body.push(number as u8);
            }
        } else {
            self.body.extend((count as i32).to_be_bytes());
        }
    }

    fn tags(&mut self) {
        if self.is_flexible() {
            self.body.push(0);
        }
    }

    /// The body of a response with these partitions of one topic.
    pub(super) fn of(version: i16, topic: &str, partitions: &[PartitionBuilder]) -> Vec<u8> {
        let mut response = ResponseBuilder {
            version,
            body: Vec::new(),
        };
        response.body.extend(7i32.to_be_bytes());
        if version >= 7 {
            response.body.extend([0; 6]);
        }
        response.count(1);
        match version {
            13.. => response.body.extend(topic_id(topic).as_bytes()),
            12 => response.count(topic.len()),
            _ => response.body.extend((topic.len() as i16).to_be_bytes()),
        }
        if version < 13 {
            response.body.extend(topic.as_bytes());
        }
        response.count(partitions.len());
        for partition in partitions {
            response.partition(partition);
        }
        response.tags();
        response.tags();
        response.body
    }

    fn partition(&mut self, partition: &PartitionBuilder) {
        self.body.extend(partition.id.to_be_bytes());
        self.body.extend(partition.error.to_be_bytes());
        self.body.extend(partition.high_watermark.to_be_bytes());
        self.body.extend(partition.last_stable_offset.to_be_bytes());
        if self.version >= 5 {
            self.body.extend(0i64.to_be_bytes());
        }
        self.count(partition.aborted.len());
        for (producer, first) in &partition.aborted {
            self.body.extend(producer.to_be_bytes());
            self.body.extend(first.to_be_bytes());
            self.tags();
        }
        if self.version >= 11 {
            self.body
                .extend(partition.preferred_replica.unwrap_or(-1).to_be_bytes());
        }
        self.count(partition.records.len());
        self.body.extend(&partition.records);
        match partition.diverging {
            Some((epoch, offset)) if self.is_flexible() => {
                self.body.extend([1, 0, 13]);
                self.body.extend(epoch.to_be_bytes());
                self.body.extend(offset.to_be_bytes());
                self.tags();
            }
            _ => self.tags(),
        }
    }
}
