//! The shapes of the responses that kafka-protocol decodes, walked before it does.
//!
//! kafka-protocol makes room for as many elements as an array says it has,
//! before it looks at one: four bytes of a damaged or hostile answer end the
//! process. A walk over the answer makes no room for anything, and ends where
//! the bytes do; behind it every count is true. What the fields mean is
//! kafka-protocol's to know: here they are only sizes.

use kafka_protocol::messages::ApiKey;

/// What a field is, as far as its size goes.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// So many bytes.
    Fixed(usize),
    /// A text, or none.
    Text,
    /// Bytes, or none.
    Bytes,
    /// An array of fields of so many bytes.
    Numbers(usize),
    /// An array of texts.
    Texts,
    /// A structure.
    One(&'static [Field]),
    /// An array of structures.
    Many(&'static [Field]),
}

/// A field, and the versions that have it.
#[derive(Clone, Copy, Debug)]
struct Field {
    from: i16,
    to: i16,
    kind: Kind,
}

/// A response, and its first version with compact lengths and tags.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    flexible_from: i16,
    fields: &'static [Field],
}

use Kind::{Bytes, Fixed, Many, Numbers, One, Text, Texts};

const fn all(kind: Kind) -> Field {
    between(0, i16::MAX, kind)
}

const fn from(from: i16, kind: Kind) -> Field {
    between(from, i16::MAX, kind)
}

const fn until(to: i16, kind: Kind) -> Field {
    between(0, to, kind)
}

const fn between(from: i16, to: i16, kind: Kind) -> Field {
    Field { from, to, kind }
}

const METADATA: &[Field] = &[
    from(3, Fixed(4)),
    all(Many(&[
        all(Fixed(4)),
        all(Text),
        all(Fixed(4)),
        from(1, Text),
    ])),
    from(2, Text),
    from(1, Fixed(4)),
    all(Many(&[
        all(Fixed(2)),
        all(Text),
        from(10, Fixed(16)),
        from(1, Fixed(1)),
        all(Many(&[
            all(Fixed(10)),
            from(7, Fixed(4)),
            all(Numbers(4)),
            all(Numbers(4)),
            from(5, Numbers(4)),
        ])),
        from(8, Fixed(4)),
    ])),
    between(8, 10, Fixed(4)),
    from(13, Fixed(2)),
];

const LIST_OFFSETS: &[Field] = &[
    from(2, Fixed(4)),
    all(Many(&[
        all(Text),
        all(Many(&[all(Fixed(22)), from(4, Fixed(4))])),
    ])),
];

const OFFSET_FETCH: &[Field] = &[
    from(3, Fixed(4)),
    until(7, Many(&[all(Text), all(Many(COMMITTED))])),
    between(2, 7, Fixed(2)),
    from(
        8,
        Many(&[
            all(Text),
            all(Many(&[
                until(9, Text),
                from(10, Fixed(16)),
                all(Many(COMMITTED)),
            ])),
            all(Fixed(2)),
        ]),
    ),
];

const COMMITTED: &[Field] = &[all(Fixed(12)), from(5, Fixed(4)), all(Text), all(Fixed(2))];

const FIND_COORDINATOR: &[Field] = &[
    from(1, Fixed(4)),
    until(3, Fixed(2)),
    between(1, 3, Text),
    until(3, Fixed(4)),
    until(3, Text),
    until(3, Fixed(4)),
    from(
        4,
        Many(&[
            all(Text),
            all(Fixed(4)),
            all(Text),
            all(Fixed(6)),
            all(Text),
        ]),
    ),
];

const LIST_GROUPS: &[Field] = &[
    from(1, Fixed(4)),
    all(Fixed(2)),
    all(Many(&[all(Text), all(Text), from(4, Text), from(5, Text)])),
];

const DESCRIBE_GROUPS: &[Field] = &[
    from(1, Fixed(4)),
    all(Many(&[
        all(Fixed(2)),
        from(6, Text),
        all(Text),
        all(Text),
        all(Text),
        all(Text),
        all(Many(&[
            all(Text),
            from(4, Text),
            all(Text),
            all(Text),
            all(Bytes),
            all(Bytes),
        ])),
        from(3, Fixed(4)),
    ])),
];

const ASSIGNMENT: &[Field] = &[all(Many(&[all(Fixed(16)), all(Text), all(Numbers(4))]))];

const CONSUMER_GROUP_DESCRIBE: &[Field] = &[
    all(Fixed(4)),
    all(Many(&[
        all(Fixed(2)),
        all(Text),
        all(Text),
        all(Text),
        all(Fixed(8)),
        all(Text),
        all(Many(&[
            all(Text),
            all(Text),
            all(Text),
            all(Fixed(4)),
            all(Text),
            all(Text),
            all(Texts),
            all(Text),
            all(One(ASSIGNMENT)),
            all(One(ASSIGNMENT)),
            from(1, Fixed(1)),
        ])),
        all(Fixed(4)),
    ])),
];

const SHARE_GROUP_DESCRIBE: &[Field] = &[
    all(Fixed(4)),
    all(Many(&[
        all(Fixed(2)),
        all(Text),
        all(Text),
        all(Text),
        all(Fixed(8)),
        all(Text),
        all(Many(&[
            all(Text),
            all(Text),
            all(Fixed(4)),
            all(Text),
            all(Text),
            all(Texts),
            all(One(ASSIGNMENT)),
        ])),
        all(Fixed(4)),
    ])),
];

const DESCRIBE_LOG_DIRS: &[Field] = &[
    all(Fixed(4)),
    from(3, Fixed(2)),
    all(Many(&[
        all(Fixed(2)),
        all(Text),
        all(Many(&[all(Text), all(Many(&[all(Fixed(21))]))])),
        from(4, Fixed(16)),
    ])),
];

const DESCRIBE_CONFIGS: &[Field] = &[
    all(Fixed(4)),
    all(Many(&[
        all(Fixed(2)),
        all(Text),
        all(Fixed(1)),
        all(Text),
        all(Many(&[
            all(Text),
            all(Text),
            all(Fixed(3)),
            all(Many(&[all(Text), all(Text), all(Fixed(1))])),
            from(3, Fixed(1)),
            from(3, Text),
        ])),
    ])),
];

const CREATE_TOPICS: &[Field] = &[
    all(Fixed(4)),
    all(Many(&[
        all(Text),
        from(7, Fixed(16)),
        all(Fixed(2)),
        all(Text),
        from(5, Fixed(6)),
        from(5, Many(&[all(Text), all(Text), all(Fixed(3))])),
    ])),
];

const OFFSET_COMMIT: &[Field] = &[
    from(3, Fixed(4)),
    all(Many(&[
        until(9, Text),
        from(10, Fixed(16)),
        all(Many(&[all(Fixed(6))])),
    ])),
];

const FETCH: &[Field] = &[
    all(Fixed(4)),
    from(7, Fixed(6)),
    all(Many(&[
        until(12, Text),
        from(13, Fixed(16)),
        all(Many(&[
            all(Fixed(22)),
            from(5, Fixed(8)),
            all(Many(&[all(Fixed(16))])),
            from(11, Fixed(4)),
            all(Bytes),
        ])),
    ])),
];

impl Shape {
    /// The shape of an API's responses; `None` for one that is read by hand, with its counts checked there.
    pub(super) fn of(api: i16) -> Option<Shape> {
        let (flexible_from, fields) = match ApiKey::try_from(api).ok()? {
            ApiKey::Metadata => (9, METADATA),
            ApiKey::ListOffsets => (6, LIST_OFFSETS),
            ApiKey::OffsetFetch => (6, OFFSET_FETCH),
            ApiKey::FindCoordinator => (3, FIND_COORDINATOR),
            ApiKey::ListGroups => (3, LIST_GROUPS),
            ApiKey::DescribeGroups => (5, DESCRIBE_GROUPS),
            ApiKey::ConsumerGroupDescribe => (0, CONSUMER_GROUP_DESCRIBE),
            ApiKey::ShareGroupDescribe => (0, SHARE_GROUP_DESCRIBE),
            ApiKey::DescribeLogDirs => (2, DESCRIBE_LOG_DIRS),
            ApiKey::DescribeConfigs => (4, DESCRIBE_CONFIGS),
            ApiKey::CreateTopics => (5, CREATE_TOPICS),
            ApiKey::OffsetCommit => (8, OFFSET_COMMIT),
            ApiKey::Fetch => (12, FETCH),
            _ => return None,
        };
        Some(Shape {
            flexible_from,
            fields,
        })
    }

    /// Whether `body` holds all that it says it holds.
    pub(super) fn fits(self, body: &[u8], version: i16) -> bool {
        let mut walk = Walk {
            rest: body,
            version,
            is_flexible: version >= self.flexible_from,
        };
        walk.fields(self.fields).is_some()
    }
}

struct Walk<'a> {
    rest: &'a [u8],
    version: i16,
    is_flexible: bool,
}

impl Walk<'_> {
    fn fields(&mut self, fields: &[Field]) -> Option<()> {
        let version = self.version;
        for field in fields.iter().filter(|f| (f.from..=f.to).contains(&version)) {
            self.field(field.kind)?;
        }
        if self.is_flexible {
            for _ in 0..self.unsigned()? {
                self.unsigned()?;
                let size = self.unsigned()?;
                self.skip(size)?;
            }
        }
        Some(())
    }

    fn field(&mut self, kind: Kind) -> Option<()> {
        match kind {
            Fixed(size) => self.skip(size),
            Text => {
                let size = self.length(2)?;
                self.skip(size)
            }
            Bytes => {
                let size = self.length(4)?;
                self.skip(size)
            }
            Numbers(size) => {
                let count = self.length(4)?;
                self.skip(count.checked_mul(size)?)
            }
            Texts => {
                let count = self.length(4)?;
                (0..count).try_for_each(|_| self.field(Text))
            }
            One(fields) => self.fields(fields),
            Many(fields) => {
                let count = self.length(4)?;
                (0..count).try_for_each(|_| self.element(fields))
            }
        }
    }

    /// Elements take bytes, so that a count which lies ends where the body does.
    fn element(&mut self, fields: &[Field]) -> Option<()> {
        let before = self.rest.len();
        self.fields(fields)?;
        (self.rest.len() < before).then_some(())
    }

    fn skip(&mut self, size: usize) -> Option<()> {
        self.rest = self.rest.get(size..)?;
        Some(())
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*bytes)
    }

    /// A length or a count; NULL is as good as none.
    fn length(&mut self, plain_bytes: usize) -> Option<usize> {
        if self.is_flexible {
            return Some(self.unsigned()?.saturating_sub(1));
        }
        let length = match plain_bytes {
            2 => i16::from_be_bytes(self.take()?).into(),
            _ => i32::from_be_bytes(self.take()?),
        };
        Some(usize::try_from(length).unwrap_or(0))
    }

    fn unsigned(&mut self) -> Option<usize> {
        let mut number = 0;
        for shift in (0..35).step_by(7) {
            let [byte] = self.take()?;
            number |= usize::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes as Shared;
    use kafka_protocol::messages::*;
    use kafka_protocol::protocol::Request;
    use proptest::prelude::*;

    use super::*;

    /// Bytes of a shape: counts and texts as `choices` say.
    struct Writer<'c> {
        out: Vec<u8>,
        choices: &'c [u8],
        at: usize,
        version: i16,
        is_flexible: bool,
    }

    impl Writer<'_> {
        fn choice(&mut self) -> usize {
            self.at += 1;
            (self.choices[self.at % self.choices.len()] % 3).into()
        }

        fn length(&mut self, length: usize, plain_bytes: usize) {
            match (self.is_flexible, plain_bytes) {
                (true, _) => self.out.push(length as u8 + 1),
                (false, 2) => self.out.extend((length as i16).to_be_bytes()),
                (false, _) => self.out.extend((length as i32).to_be_bytes()),
            }
        }

        fn fields(&mut self, fields: &[Field]) {
            let version = self.version;
            for field in fields.iter().filter(|f| (f.from..=f.to).contains(&version)) {
                self.field(field.kind);
            }
            if self.is_flexible {
                self.out.push(0);
            }
        }

        fn field(&mut self, kind: Kind) {
            let count = self.choice();
            match kind {
                Fixed(size) => self.out.extend(vec![1; size]),
                Text | Bytes => {
                    self.length(count, if matches!(kind, Text) { 2 } else { 4 });
                    self.out.extend(vec![b'a'; count]);
                }
                Numbers(size) => {
                    self.length(count, 4);
                    self.out.extend(vec![1; size * count]);
                }
                Texts => {
                    self.length(count, 4);
                    (0..count).for_each(|_| self.field(Text));
                }
                One(fields) => self.fields(fields),
                Many(fields) => {
                    self.length(count, 4);
                    (0..count).for_each(|_| self.fields(fields));
                }
            }
        }
    }

    fn write(shape: Shape, version: i16, choices: &[u8]) -> Vec<u8> {
        let mut writer = Writer {
            out: Vec::new(),
            choices,
            at: 0,
            version,
            is_flexible: version >= shape.flexible_from,
        };
        writer.fields(shape.fields);
        writer.out
    }

    /// What fits a shape is what kafka-protocol decodes, to its last byte; what is cut or changed never ends the process.
    fn agrees<R: Request>(
        newest: i16,
        choices: &[u8],
        changes: &[(prop::sample::Index, u8)],
    ) -> Result<(), TestCaseError> {
        use kafka_protocol::protocol::Decodable as _;
        let shape = Shape::of(R::KEY).expect("a shape");
        for version in R::Response::VERSIONS.min..=R::Response::VERSIONS.max.min(newest) {
            let mut body = write(shape, version, choices);
            prop_assert!(shape.fits(&body, version), "{:?} v{version}", R::KEY);
            let mut bytes = Shared::from(body.clone());
            let decoded = R::Response::decode(&mut bytes, version).map(drop);
            prop_assert!(decoded.is_ok(), "API {} v{version}: {decoded:?}", R::KEY);
            prop_assert_eq!(bytes.len(), 0, "API {} v{}", R::KEY, version);
            prop_assert!(!shape.fits(&body[..body.len() - 1], version));
            for (at, byte) in changes {
                let at = at.index(body.len());
                body[at] = *byte;
            }
            if shape.fits(&body, version) {
                // Whether it is well-formed is not asked; that it comes back is enough.
                drop(R::Response::decode(&mut Shared::from(body), version));
            }
        }
        Ok(())
    }

    use kafka_protocol::protocol::Message as _;

    proptest! {
        #[test]
        fn a_shape_is_that_of_the_schema_in_every_version(
            choices in proptest::collection::vec(any::<u8>(), 1..40),
            changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        ) {
            let all = i16::MAX;
            agrees::<MetadataRequest>(all, &choices, &changes)?;
            agrees::<ListOffsetsRequest>(all, &choices, &changes)?;
            agrees::<OffsetFetchRequest>(all, &choices, &changes)?;
            agrees::<FindCoordinatorRequest>(all, &choices, &changes)?;
            agrees::<ListGroupsRequest>(all, &choices, &changes)?;
            agrees::<DescribeGroupsRequest>(all, &choices, &changes)?;
            agrees::<ConsumerGroupDescribeRequest>(all, &choices, &changes)?;
            agrees::<ShareGroupDescribeRequest>(all, &choices, &changes)?;
            agrees::<DescribeLogDirsRequest>(all, &choices, &changes)?;
            agrees::<DescribeConfigsRequest>(all, &choices, &changes)?;
            agrees::<CreateTopicsRequest>(all, &choices, &changes)?;
            agrees::<OffsetCommitRequest>(all, &choices, &changes)?;
            // From 16 on a tagged field holds an array.
            agrees::<FetchRequest>(15, &choices, &changes)?;
        }
    }

    #[test]
    fn a_count_that_the_rest_of_an_answer_can_not_hold_does_not_fit() {
        let metadata = Shape::of(ApiKey::Metadata as i16).expect("a shape");
        assert!(!metadata.fits(&[0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f], 12));
        assert!(!metadata.fits(&[0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff], 4));
    }
}
