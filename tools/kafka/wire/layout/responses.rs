//! The layout of each response, from Kafka's message definitions (`*Response.json`).

use kafka_protocol::messages::ApiKey;

use super::Kind::{Bytes, Fixed, FixedArray, NullableStruct, Struct, StructArray, Text, TextArray};
use super::{Field, Kind, Layout};

impl Layout {
    /// The layout of an API's responses; `None` if this library parses them itself and checks the counts there.
    pub(in crate::kafka::wire) fn of(api: i16) -> Option<Layout> {
        let (flexible_from, fields) = match ApiKey::try_from(api).ok()? {
            ApiKey::Produce => (9, PRODUCE),
            ApiKey::AddPartitionsToTxn | ApiKey::TxnOffsetCommit => (3, PARTITION_CODES),
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
            ApiKey::OffsetDelete => (i16::MAX, OFFSET_DELETE),
            ApiKey::DescribeCluster => (0, DESCRIBE_CLUSTER),
            ApiKey::ShareGroupHeartbeat => (0, SHARE_GROUP_HEARTBEAT),
            ApiKey::AlterShareGroupOffsets => (0, ALTER_SHARE_GROUP_OFFSETS),
            ApiKey::DeleteShareGroupOffsets => (0, DELETE_SHARE_GROUP_OFFSETS),
            ApiKey::Fetch => (12, FETCH),
            _ => return None,
        };
        Some(Layout {
            flexible_from,
            fields,
        })
    }
}

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

const PRODUCE: &[Field] = &[
    all(StructArray(&[
        until(12, Text),
        from(13, Fixed(16)),
        all(StructArray(&[
            all(Fixed(4 + 2 + 8)),
            from(2, Fixed(8)),
            from(5, Fixed(8)),
            from(8, StructArray(&[all(Fixed(4)), all(Text)])),
            from(8, Text),
        ])),
    ])),
    from(1, Fixed(4)),
];

/// A code for each partition; of AddPartitionsToTxn the versions of clients, up to 3.
const PARTITION_CODES: &[Field] = &[
    all(Fixed(4)),
    all(StructArray(&[
        all(Text),
        all(StructArray(&[all(Fixed(4 + 2))])),
    ])),
];

const METADATA: &[Field] = &[
    from(3, Fixed(4)),
    all(StructArray(&[
        all(Fixed(4)),
        all(Text),
        all(Fixed(4)),
        from(1, Text),
    ])),
    from(2, Text),
    from(1, Fixed(4)),
    all(StructArray(&[
        all(Fixed(2)),
        all(Text),
        from(10, Fixed(16)),
        from(1, Fixed(1)),
        all(StructArray(&[
            all(Fixed(10)),
            from(7, Fixed(4)),
            all(FixedArray(4)),
            all(FixedArray(4)),
            from(5, FixedArray(4)),
        ])),
        from(8, Fixed(4)),
    ])),
    between(8, 10, Fixed(4)),
    from(13, Fixed(2)),
];

const LIST_OFFSETS: &[Field] = &[
    from(2, Fixed(4)),
    all(StructArray(&[
        all(Text),
        all(StructArray(&[all(Fixed(22)), from(4, Fixed(4))])),
    ])),
];

const OFFSET_FETCH: &[Field] = &[
    from(3, Fixed(4)),
    until(7, StructArray(&[all(Text), all(StructArray(COMMITTED))])),
    between(2, 7, Fixed(2)),
    from(
        8,
        StructArray(&[
            all(Text),
            all(StructArray(&[
                until(9, Text),
                from(10, Fixed(16)),
                all(StructArray(COMMITTED)),
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
        StructArray(&[
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
    all(StructArray(&[
        all(Text),
        all(Text),
        from(4, Text),
        from(5, Text),
    ])),
];

const DESCRIBE_GROUPS: &[Field] = &[
    from(1, Fixed(4)),
    all(StructArray(&[
        all(Fixed(2)),
        from(6, Text),
        all(Text),
        all(Text),
        all(Text),
        all(Text),
        all(StructArray(&[
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

const ASSIGNMENT: &[Field] = &[all(StructArray(&[
    all(Fixed(16)),
    all(Text),
    all(FixedArray(4)),
]))];

const CONSUMER_GROUP_DESCRIBE: &[Field] = &[
    all(Fixed(4)),
    all(StructArray(&[
        all(Fixed(2)),
        all(Text),
        all(Text),
        all(Text),
        all(Fixed(8)),
        all(Text),
        all(StructArray(&[
            all(Text),
            all(Text),
            all(Text),
            all(Fixed(4)),
            all(Text),
            all(Text),
            all(TextArray),
            all(Text),
            all(Struct(ASSIGNMENT)),
            all(Struct(ASSIGNMENT)),
            from(1, Fixed(1)),
        ])),
        all(Fixed(4)),
    ])),
];

const SHARE_GROUP_DESCRIBE: &[Field] = &[
    all(Fixed(4)),
    all(StructArray(&[
        all(Fixed(2)),
        all(Text),
        all(Text),
        all(Text),
        all(Fixed(8)),
        all(Text),
        all(StructArray(&[
            all(Text),
            all(Text),
            all(Fixed(4)),
            all(Text),
            all(Text),
            all(TextArray),
            all(Struct(ASSIGNMENT)),
        ])),
        all(Fixed(4)),
    ])),
];

const DESCRIBE_LOG_DIRS: &[Field] = &[
    all(Fixed(4)),
    from(3, Fixed(2)),
    all(StructArray(&[
        all(Fixed(2)),
        all(Text),
        all(StructArray(&[
            all(Text),
            all(StructArray(&[all(Fixed(21))])),
        ])),
        from(4, Fixed(16)),
    ])),
];

const DESCRIBE_CONFIGS: &[Field] = &[
    all(Fixed(4)),
    all(StructArray(&[
        all(Fixed(2)),
        all(Text),
        all(Fixed(1)),
        all(Text),
        all(StructArray(&[
            all(Text),
            all(Text),
            all(Fixed(3)),
            all(StructArray(&[all(Text), all(Text), all(Fixed(1))])),
            from(3, Fixed(1)),
            from(3, Text),
        ])),
    ])),
];

const CREATE_TOPICS: &[Field] = &[
    all(Fixed(4)),
    all(StructArray(&[
        all(Text),
        from(7, Fixed(16)),
        all(Fixed(2)),
        all(Text),
        from(5, Fixed(6)),
        from(5, StructArray(&[all(Text), all(Text), all(Fixed(3))])),
    ])),
];

const OFFSET_COMMIT: &[Field] = &[
    from(3, Fixed(4)),
    all(StructArray(&[
        until(9, Text),
        from(10, Fixed(16)),
        all(StructArray(&[all(Fixed(6))])),
    ])),
];

const OFFSET_DELETE: &[Field] = &[
    all(Fixed(2 + 4)),
    all(StructArray(&[
        all(Text),
        all(StructArray(&[all(Fixed(4 + 2))])),
    ])),
];

const DESCRIBE_CLUSTER: &[Field] = &[
    all(Fixed(4 + 2)),
    all(Text),
    from(1, Fixed(1)),
    all(Text),
    all(Fixed(4)),
    all(StructArray(&[
        all(Fixed(4)),
        all(Text),
        all(Fixed(4)),
        all(Text),
        from(2, Fixed(1)),
    ])),
    all(Fixed(4)),
];

const SHARE_GROUP_HEARTBEAT: &[Field] = &[
    all(Fixed(4 + 2)),
    all(Text),
    all(Text),
    all(Fixed(4 + 4)),
    all(NullableStruct(&[all(StructArray(&[
        all(Fixed(16)),
        all(FixedArray(4)),
    ]))])),
];

const ALTER_SHARE_GROUP_OFFSETS: &[Field] = &[
    all(Fixed(4 + 2)),
    all(Text),
    all(StructArray(&[
        all(Text),
        all(Fixed(16)),
        all(StructArray(&[all(Fixed(4 + 2)), all(Text)])),
    ])),
];

const DELETE_SHARE_GROUP_OFFSETS: &[Field] = &[
    all(Fixed(4 + 2)),
    all(Text),
    all(StructArray(&[all(Text), all(Fixed(16 + 2)), all(Text)])),
];

const FETCH: &[Field] = &[
    all(Fixed(4)),
    from(7, Fixed(6)),
    all(StructArray(&[
        until(12, Text),
        from(13, Fixed(16)),
        all(StructArray(&[
            all(Fixed(22)),
            from(5, Fixed(8)),
            all(StructArray(&[all(Fixed(16))])),
            from(11, Fixed(4)),
            all(Bytes),
        ])),
    ])),
];
