#!/usr/bin/env bash
# Starts and ends members of groups that find nothing to read, 10,000 by default: none may hang.
#
#   tests/bench/leave.sh [STARTS]
#
# Eight kinds in turn: standard output and --exec, both group protocols, with
# and without group.instance.id. The tests run forty of them each time.
set -euo pipefail
cd "$(dirname "$0")/../.."
starts=${1:-10000}
export KAFKAUTILS_LEAVES=$(((starts + 7) / 8)) KAFKAUTILS_REQUIRE_KAFKA=1
exec cargo test --locked --test tests -- --exact \
    kcat_lite::command::a_member_with_nothing_to_read_leaves_at_once_however_often
