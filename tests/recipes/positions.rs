use super::recipe;
use crate::testkit::broker::shared_kafka;
use crate::testkit::cluster::{Cluster as _, Record};
use crate::testkit::session;
use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

#[test]
fn a_group_is_rewound_put_back_and_gets_past_a_record() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic("rewound", 4, &[]);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now_ms = now.as_millis() as i64;
    // Ten records in each partition, one for each half hour; partition 1 is older.
    let record = |partition: i32, n: i64| Record {
        partition: Some(partition),
        timestamp_ms: Some(
            now_ms - 1_800_000 * (10 - n) + 60_000 - 86_400_000 * i64::from(partition == 1),
        ),
        ..Record::of(format!("{partition}-{n}"))
    };
    let records = (0..4).flat_map(|partition| (0..10).map(move |n| record(partition, n)));
    kafka.produce(&topic, &records.collect::<Vec<_>>());
    let group = session::unique("rewound");
    for partition in 0..4 {
        kafka.commit_offset(&group, &topic, partition, 10);
    }
    let folder = session::folder("positions");
    let recipe = recipe("Rewind a consumer group, or skip a record");
    let run = |block: usize| {
        let settings = [
            ("KAFKA_BROKERS", &*kafka.bootstrap()),
            ("GROUP", &*group),
            ("TOPIC", &*topic),
            ("SINCE", "now-2h"),
            ("PARTITION", "3"),
            ("OFFSET", "7"),
        ];
        let run = recipe.run(block, &settings).inside(&folder).run();
        run.succeeds().stderr_is("")
    };
    let committed = || kafka.committed(&group, &topic);
    let line = |partition: i32, old: i64, new: i64| format!("{topic}\t{partition}\t{old}\t{new}\n");
    let rewound = [
        line(0, 10, 6),
        line(1, 10, 10),
        line(2, 10, 6),
        line(3, 10, 6),
    ];
    run(1).stdout_is(rewound.concat());
    assert_eq!(
        committed(),
        BTreeMap::from([(0, 6), (1, 10), (2, 6), (3, 6)])
    );
    run(2);
    assert_eq!(
        committed(),
        (0..4).map(|partition| (partition, 10)).collect()
    );
    run(3).stdout_is(line(3, 10, 8));
    let failed = std::fs::read_to_string(folder.join("failed.json")).unwrap();
    assert!(failed.contains("\"payload\":\"3-7\""), "{failed}");
    assert_eq!(committed()[&3], 8);
}
