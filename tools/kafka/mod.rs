//! Everything that talks to a cluster; hides librdkafka and all `unsafe` behind safe types.
