use super::{fill, other_cluster, recipe, seen_by_python};
use crate::testkit::broker::shared_kafka;
use crate::testkit::cluster::Cluster as _;
use crate::testkit::session;

#[test]
fn a_copy_in_another_cluster_has_every_header_and_nothing_twice() {
    let (Some(kafka), Some(other)) = (shared_kafka(), other_cluster()) else {
        return;
    };
    let topic = kafka.topic("copied", 4, &[]);
    if fill(kafka, &topic, 0, 3000).is_none() {
        return;
    }
    other.create_topic(&topic, 4, &[]);
    let folder = session::folder("copy");
    let recipe = recipe("Copy a topic to another cluster without losing a header");
    let run = || {
        let settings = [
            ("FROM", &*kafka.bootstrap()),
            ("TO", &*other.bootstrap()),
            ("TOPIC", &*topic),
        ];
        let copy = recipe.run(1, &settings).inside(&folder).run();
        copy.succeeds().stdout_is("").stderr_is("");
    };
    let is_the_same = |records| {
        let before = seen_by_python(kafka, &topic).unwrap();
        assert_eq!(before.len(), records);
        assert_eq!(seen_by_python(other, &topic).unwrap(), before);
    };
    run();
    is_the_same(3000);
    // Once more with nothing new, and then with something.
    run();
    is_the_same(3000);
    fill(kafka, &topic, 3000, 500).unwrap();
    run();
    is_the_same(3500);
}
