#!/usr/bin/env bash
# Breaks a promise on purpose, one at a time, in a copy of the tree, and sees that a test turns red. A fault that no test
# notices makes this fail. `make faults`; with names as arguments only those.
set -euo pipefail
cd "$(dirname "$0")/../.."

root=$PWD
copy=target/faults/tree
export CARGO_TARGET_DIR=$root/target/faults/build
# Nothing of an older tree: its files may have moved.
rm -rf "$copy"
mkdir -p "$copy" target/faults
ln -s "$root/.deps" "$root/data" "$copy" # trainers need libtorch and MNIST
unnoticed=0
printf '%-34s %-8s %s\n' fault outcome 'first test that noticed'

# fault NAME FILE PERL-SUBSTITUTION TEST-ARGUMENTS…
fault() {
    local name=$1 file=$2 change=$3 log="$root/target/faults/$1.log" outcome
    shift 3
    [ -z "$only" ] || [[ " $only " == *" $name "* ]] || return 0
    git checkout-index --all --force --prefix="$copy/"
    perl -0pi -e "$change" "$copy/$file"
    if cmp -s "$file" "$copy/$file"; then
        echo "$name: $file has changed, and the fault no longer fits it" >&2
        exit 1
    fi
    if ! (cd "$copy" && cargo test --no-run "$@") >"$log" 2>&1; then
        echo "$name: it does not build; see $log" >&2
        exit 1
    fi
    if (cd "$copy" && cargo test "$@") >>"$log" 2>&1; then
        outcome=UNSEEN
        unnoticed=$((unnoticed + 1))
    else
        outcome=noticed
    fi
    printf '%-34s %-8s %s\n' "$name" "$outcome" "$(grep -m1 -oP '^test \K\S+(?= \.\.\. FAILED)' "$log" || true)"
}

only="$*"
turn=coordinator/src/turn.rs
sqlite=coordinator/src/store/sqlite
postgres=coordinator/src/store/postgres
core=coordinator/core/src

fault acknowledge-before-commit $turn \
    's/\.for_each\(\|answer\| \*answer = Err\(answer_for\(&error\)\)\);/.for_each(drop);/' \
    -p tenfold --test simulation
fault state-kept-after-failed-commit $turn \
    's/self\.rebuild\(now\)\n                \};/None\n                };\n                self.broken = None;/' \
    -p tenfold --test simulation
fault synchronous-off $sqlite/open.rs 's/"synchronous", "FULL"/"synchronous", "OFF"/' -p tenfold --lib store::sqlite
fault no-lock $sqlite/place.rs 's/file\.try_lock\(\)/Ok::<(), TryLockError>(())/' -p tenfold --lib store::sqlite
fault no-unique-key $sqlite/schema/mod.rs \
    's/,\n        PRIMARY KEY \(sweep, stage, point, repetition, fence, first\)\n    \) WITHOUT ROWID/\n    )/' \
    -p tenfold --lib store::s
fault no-postgres-epoch $postgres/mod.rs 's/epoch = \$1 FOR UPDATE/epoch >= 0 * \$1 FOR UPDATE/' \
    -p tenfold --lib store::postgres
fault no-postgres-lock $postgres/connection.rs 's/let taken: bool = .*?;/let taken = client.query_one(sql, &[&LOCK]).is_ok();/s' \
    -p tenfold --lib store::postgres
fault any-worker-may-write $core/lease/append.rs 's/lease\.row\.worker == worker && //' -p tenfold-core
fault no-fence $core/lease/attempt.rs \
    's/row\.state\.holder\(\)\.is_some_and\(\|\(held, _\)\| held == fence\)/row.state.holder().is_some()/' \
    -p tenfold-core -p tenfold --test scenarios --test simulation
fault lease-not-needed $core/lease/attempt.rs \
    's/let lease = lease\.ok_or\(Refusal::StaleFence\(fence\)\)\?;\n    match row \{/match row {/; s/_ if lease\.row\.trials\.contains\(&\(key, number\)\)/_ if lease.is_some_and(|lease| lease.row.trials.contains(&(key, number)))/' \
    -p tenfold-core
fault results-may-change $core/trial.rs 's/(Self::Diverged \{ \.\. \}) => matches!\(next, Self::Failed\)/$1 => true/' -p tenfold-core
fault no-fresh-terms $turn 's/    state\.fresh_terms\(now\);\n//; s/, now: Millis\) -> Result<\(State/, _now: Millis) -> Result<(State/' \
    -p tenfold --test simulation --lib

store=coordinator/src/store
fault checksums-not-looked-at $store/checks.rs 's/Ok\(Some\(sum\)\) => Ok\(sum == of_row\(table, sweep, row, columns\)\?\)/Ok(Some(_)) => Ok(true)/' \
    -p tenfold --lib store::sqlite
fault lost-rows-not-missed $store/census.rs 's/trials != self\.whole/trials == u64::MAX/; s/known != expected/known == u64::MAX/' \
    -p tenfold --lib store::sqlite
fault database-not-locked $sqlite/guard.rs 's/match file\.try_lock\(\) \{/match Ok::<(), TryLockError>(()) {/' -p tenfold --lib store::sqlite
fault file-not-looked-at $sqlite/mod.rs 's/        self\.looked_at\(\)\?;\n//; s/fn looked_at/pub fn looked_at/' -p tenfold --test disk
fault missing-log-not-missed $sqlite/mark.rs 's/if self\.in_use && self\.logs/if self.in_use \&\& self.logs \&\& path.is_dir()/' -p tenfold --test disk
fault missing-commits-not-missed $sqlite/mark.rs 's/\*newest > seq\)/*newest > seq \&\& store.is_dir())/' -p tenfold --test disk
fault damage-not-recorded coordinator/src/readers.rs 's/_ = turn\.decide\(Input::Damaged\(trials\.clone\(\)\)\)\.await;/drop((turn, Input::Damaged(trials.clone())));/' \
    -p tenfold --test disk

fault decisions-whatever-comes-first $core/state/choices.rs 's/\.all\(\|before\| self\.is_made\(before\)\)/.all(|_| true)/' \
    -p tenfold-core --test scenarios
fault decided-from-what-was $core/choice/mod.rs 's/counted\(chooses, &candidates\) != succeeded/false/' \
    -p tenfold-core --test scenarios
fault left-out-and-counted $core/sweep/stage/mod.rs 's/ - self\.decided\.closed\(\)//' -p tenfold-core --test scenarios
fault printed-as-it-came coordinator/src/cli/format.rs 's/let text = printable::lines\(text\);\n    let mut out/let mut out/' \
    -p tenfold --test hostile
fault noted-as-it-came coordinator/src/cli/mod.rs 's/tenfold_types::printable::lines\(&what\)/what/' -p tenfold --test hostile
fault answered-before-commit $turn \
    's/\.for_each\(\|reply\| \*reply = Err\(answer_for\(&error\)\)\);/.for_each(drop);/' -p tenfold --test simulation
fault answer-not-kept coordinator/src/turn/order.rs 's/Some\(key\) = order\.key \{/Some(key) = order.key.filter(|_| false) {/' \
    -p tenfold --test simulation
fault anything-under-one-id $core/request.rs 's/row\.key != \*key/row.key.id != key.id/' -p tenfold-core --test scenarios
fault kept-for-ever $core/request.rs 's/bytes <= RequestRow::MAX_BYTES && !is_over/true || !is_over/' -p tenfold-core --test scenarios
fault checkpoint-of-another-trial worker/trainer/src/checkpoint/mod.rs \
    's/            epochs: 0,\n/            epochs: 0,\n            learning_rate: 1.0,\n/' -p tenfold-trainer --test checkpoints

[ $unnoticed = 0 ] || {
    echo "$unnoticed faults were not noticed" >&2
    exit 1
}
