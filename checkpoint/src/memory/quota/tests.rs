//! Quota: state, figures, checkpoint size, configuration.

use super::*;

fn quota(limit_bytes: usize) -> Quota {
    Quota::new(QuotaConfig {
        limit_bytes,
        ..QuotaConfig::default()
    })
    .expect("valid")
}

#[test]
fn quota_state_follows_the_marks() {
    let quota = quota(1_000);
    for (used, state, excess) in [
        (899, MemoryState::Available, 0),
        (900, MemoryState::High, 300),
        (999, MemoryState::High, 399),
        (1_000, MemoryState::Full, 400),
    ] {
        quota.charge(used);
        assert_eq!(
            (quota.state(), quota.excess_bytes()),
            (state, excess),
            "{used}"
        );
        quota.discharge(used);
    }
}

#[test]
fn stats_have_the_configured_marks_and_charged_bytes() {
    let quota = quota(10_000);
    let member = quota.join();
    quota.charge(123);
    let stats = QuotaStats {
        used_bytes: 123,
        limit_bytes: 10_000,
        upper_mark_bytes: 9_000,
        lower_mark_bytes: 6_000,
        checkpoint_bytes: 1_000,
        managers: 1,
    };
    assert_eq!(quota.stats(), stats);
    drop(member);
}

#[test]
fn checkpoint_bytes_are_a_share_of_the_managers_share() {
    let quota = quota(12_000);
    assert_eq!(quota.checkpoint_bytes(), 1_200, "same as for one manager");
    let members = [quota.join(), quota.join(), quota.join()];
    assert_eq!(quota.checkpoint_bytes(), 400);
    drop(members);
    assert_eq!(quota.managers(), 0);
    quota
        .configure(QuotaConfig {
            limit_bytes: usize::MAX,
            ..QuotaConfig::default()
        })
        .expect("valid");
    assert_eq!(
        quota.checkpoint_bytes(),
        QuotaConfig::default().checkpoint_bytes_max
    );
}

#[test]
fn invalid_configuration_is_refused_and_changes_nothing() {
    let quota = quota(1_000);
    let config = QuotaConfig::default;
    for bad in [
        QuotaConfig {
            limit_bytes: 0,
            ..config()
        },
        QuotaConfig {
            lower_mark_permille: 901,
            ..config()
        },
        QuotaConfig {
            upper_mark_permille: 1_001,
            ..config()
        },
        QuotaConfig {
            checkpoints_per_manager: 0,
            ..config()
        },
        QuotaConfig {
            checkpoint_bytes_max: 0,
            ..config()
        },
    ] {
        assert!(quota.configure(bad).is_err(), "{bad:?}");
    }
    quota.charge(900);
    assert_eq!(quota.state(), MemoryState::High);
}

#[test]
fn checkpoint_size_does_not_overflow() {
    let quota = Quota::new(QuotaConfig {
        checkpoints_per_manager: usize::MAX,
        ..QuotaConfig::default()
    })
    .expect("valid");
    let _managers = [quota.join(), quota.join()];
    assert_eq!(quota.checkpoint_bytes(), 1);
}

#[test]
fn each_setter_of_a_quota_sets_its_own_field() {
    assert_eq!(
        QuotaConfig::default()
            .with_limit_bytes(1)
            .with_upper_mark_permille(2)
            .with_lower_mark_permille(3)
            .with_checkpoints_per_manager(4)
            .with_checkpoint_bytes_max(5),
        QuotaConfig {
            limit_bytes: 1,
            upper_mark_permille: 2,
            lower_mark_permille: 3,
            checkpoints_per_manager: 4,
            checkpoint_bytes_max: 5,
        }
    );
}
