use super::dimension::{Dimension, ROWS};
use super::draw::{Fixed, INTERVAL_MIN, QUOTA_BYTES_PER_VBUCKET, Shape};
use super::law::Law;
use super::setting::Setting;
use super::{cost, dimension as d, meaning};
use crate::sim::config::FaultKind;
use crate::sim::error::SimError;

const SEEDS: u64 = 3_000;

fn drawn(seed: u64, settings: &[&str]) -> Shape {
    Shape::draw(seed, &fixed(settings)).expect("no contradiction")
}

fn fixed(settings: &[&str]) -> Fixed {
    let settings = settings.iter().map(|setting| {
        let Setting { dimension, value } = setting.parse().expect("a setting");
        (dimension, value)
    });
    Fixed {
        settings: settings.collect(),
        ..Fixed::default()
    }
}

/// Returns the dimensions in which two shapes differ.
fn differing(one: &Shape, other: &Shape) -> Vec<&'static str> {
    Dimension::all()
        .filter(|&dimension| one.get(dimension) != other.get(dimension))
        .map(Dimension::name)
        .collect()
}

#[test]
fn seed_draws_the_same_shape_each_time_and_another_seed_another() {
    for seed in 0..SEEDS {
        assert_eq!(drawn(seed, &[]), drawn(seed, &[]), "{seed}");
        assert!(
            differing(&drawn(seed, &[]), &drawn(seed + 1, &[])).len() > 10,
            "{seed}"
        );
    }
}

/// Guards the meaning of a seed in a failure report.
#[test]
fn drawn_shapes_never_change() {
    let drawn = [1, 2, 700_000].map(|seed| drawn(seed, &[]).brief());
    assert_eq!(drawn, PROMISED);
}

const PROMISED: [&str; 3] = [
    "9 nodes, 1 replica, 1 vBucket, couchstore",
    "2 nodes, 1 replica, 10 vBuckets, couchstore",
    "3 nodes, 2 replicas, 1 vBucket, logstor",
];

#[test]
fn every_drawn_value_is_within_its_bounds_and_makes_a_cluster() {
    for seed in 0..SEEDS {
        let shape = drawn(seed, &[]);
        for (place, row) in ROWS.iter().enumerate() {
            let value = shape.get(Dimension::Row(place));
            assert!(
                (row.least..=row.most).contains(&value),
                "{seed}: {}={value}",
                row.name
            );
        }
        assert!(
            shape.get(Dimension::NODES) <= 9 && shape.get(Dimension::VBUCKETS) <= 256,
            "{seed}"
        );
        assert!(
            shape.get(Dimension::REPLICAS) < shape.get(Dimension::NODES),
            "{seed}"
        );
        assert!(
            shape.get(d::LOWER_MARK) < shape.get(d::UPPER_MARK),
            "{seed}"
        );
        for kind in shape.faults() {
            assert!(
                shape.get(Dimension::Fault(kind)) >= INTERVAL_MIN,
                "{seed}: {}",
                kind.name()
            );
        }
        assert!(
            shape.cluster(seed).topology().is_ok() && shape.source(seed).is_ok(),
            "{seed}"
        );
    }
}

#[test]
fn every_value_of_a_law_is_drawn_by_some_seed() {
    let shapes: Vec<_> = (0..SEEDS).map(|seed| drawn(seed, &[])).collect();
    let reaches = |dimension, value| shapes.iter().any(|shape| shape.get(dimension) == value);
    for (place, row) in ROWS.iter().enumerate() {
        if let Law::OneOf(values) = row.law {
            for &value in values {
                assert!(
                    reaches(Dimension::Row(place), value),
                    "{}={value}",
                    row.name
                );
            }
        }
    }
    for kind in FaultKind::ALL {
        let with = shapes
            .iter()
            .filter(|shape| shape.get(Dimension::Fault(kind)) > 0)
            .count();
        assert!(
            (SEEDS as usize / 4..SEEDS as usize * 3 / 4).contains(&with),
            "{}: {with}",
            kind.name()
        );
    }
    assert!(
        shapes.iter().any(|shape| shape.faults().count() == 0),
        "nothing goes wrong"
    );
    assert!(
        shapes
            .iter()
            .any(|shape| shape.faults().count() == FaultKind::ALL.len()),
        "everything does"
    );
}

#[test]
fn drawn_shapes_are_within_the_cost_rule_and_mostly_cheap() {
    let mut total = 0;
    for seed in 0..SEEDS {
        let shape = drawn(seed, &[]);
        assert!(
            shape.cost() <= cost::COST_MAX,
            "{seed}: {}",
            shape.describe()
        );
        total += shape.cost();
    }
    assert!(total / SEEDS < cost::COST_MAX / 2, "{}", total / SEEDS);
}

#[test]
fn fixed_dimension_changes_no_other() {
    for seed in 0..300 {
        let free = drawn(seed, &[]);
        for dimension in Dimension::all() {
            let value = free.get(dimension);
            let other = match dimension.row() {
                Some(row) if value == row.least => row.least + 1,
                Some(row) => row.least,
                None if value == 0 => 50_000,
                None => 0,
            };
            let settings = [(dimension, other)].into();
            let shape = Shape::draw(
                seed,
                &Fixed {
                    settings,
                    ..Fixed::default()
                },
            )
            .expect("one setting");
            let moved = differing(&free, &shape);
            let is_of_mix = dimension.name().contains("value")
                || [
                    "keys",
                    "skew-hundredths",
                    "deletes-permille",
                    "key-bytes",
                    "large-bytes",
                ]
                .contains(&dimension.name());
            let yields = |name: &str| match name {
                name if name == dimension.name() => true,
                "replicas" => dimension == Dimension::NODES,
                "nodes" => dimension == Dimension::REPLICAS,
                "quota-bytes" => dimension == Dimension::VBUCKETS,
                "lower-mark-permille" => dimension == d::UPPER_MARK,
                "upper-mark-permille" => dimension == d::LOWER_MARK,
                "engine" => {
                    dimension.name().contains("couchstore-") || dimension.name().contains("log-")
                }
                "workload" => is_of_mix,
                _ => false,
            };
            assert!(
                moved.iter().all(|name| yields(name)),
                "{seed}: {} moved {moved:?}",
                dimension.name()
            );
            assert_eq!(shape.get(dimension), other, "what is fixed does not yield");
            // A dimension fixed at its drawn value changes nothing.
            let settings = free
                .meaningful()
                .filter(|&same| same == dimension)
                .map(|same| (same, value));
            let fixed = Fixed {
                settings: settings.collect(),
                ..Fixed::default()
            };
            assert_eq!(
                Shape::draw(seed, &fixed).expect("as drawn"),
                free,
                "{seed}: {}",
                dimension.name()
            );
        }
    }
}

#[test]
fn named_fault_kinds_keep_their_drawn_frequency() {
    let of = |seed, kinds: &[FaultKind]| {
        let faults = Some(kinds.iter().copied().collect());
        Shape::draw(
            seed,
            &Fixed {
                faults,
                ..Fixed::default()
            },
        )
        .expect("no contradiction")
    };
    for seed in 0..100 {
        let (free, all, one) = (
            drawn(seed, &[]),
            of(seed, &FaultKind::ALL),
            of(seed, &[FaultKind::Crash]),
        );
        for kind in free.faults() {
            assert_eq!(
                free.get(Dimension::Fault(kind)),
                all.get(Dimension::Fault(kind)),
                "{seed}"
            );
        }
        assert_eq!(all.faults().count(), FaultKind::ALL.len());
        assert_eq!(one.faults().collect::<Vec<_>>(), [FaultKind::Crash]);
        assert_eq!(
            one.get(Dimension::Fault(FaultKind::Crash)),
            all.get(Dimension::Fault(FaultKind::Crash))
        );
    }
}

#[test]
fn drawn_values_yield_to_fixed_ones() {
    for seed in 0..200 {
        assert_eq!(drawn(seed, &["nodes=1"]).get(Dimension::REPLICAS), 0);
        assert!(drawn(seed, &["replicas=8"]).get(Dimension::NODES) >= 9);
        assert_eq!(
            drawn(seed, &["log-disk-percent=300"]).get(Dimension::ENGINE),
            1
        );
        assert_eq!(
            drawn(seed, &["couchstore-version=12"]).get(Dimension::ENGINE),
            0
        );
        assert!(drawn(seed, &["value-bytes=7"]).get(Dimension::WORKLOAD) <= meaning::LATEST);
        assert!(drawn(seed, &["vbuckets=1024"]).get(d::QUOTA) >= 1_024 * QUOTA_BYTES_PER_VBUCKET);
    }
}

#[test]
fn contradictory_settings_are_refused_by_name() {
    for (settings, said) in [
        (
            &["engine=couchstore", "log-mixed-segments=1"][..],
            "log-mixed-segments has no meaning with engine=couchstore",
        ),
        (
            &["workload=zippydb", "keys=5"],
            "keys has no meaning with workload=zippydb: it follows from the workload",
        ),
        (
            &["upper-mark-permille=500", "lower-mark-permille=500"],
            "lower-mark-permille=500 is not below",
        ),
    ] {
        let error = Shape::draw(1, &fixed(settings))
            .expect_err("a contradiction")
            .to_string();
        assert!(error.starts_with(said), "{error}");
    }
    let beyond = [
        (Dimension::NODES, 0),
        (Dimension::VBUCKETS, 1 << 20),
        (Dimension::Row(1_000), 1),
        (Dimension::Fault(FaultKind::Crash), 1),
    ];
    for (dimension, value) in beyond {
        let fixed = Fixed::default().with_setting(Setting { dimension, value });
        assert!(
            matches!(Shape::draw(1, &fixed), Err(SimError::Config(_))),
            "{dimension:?} {value}"
        );
    }
    let elsewhere = fixed(&["ops=5"]).with_another_source();
    let error = Shape::draw(1, &elsewhere)
        .expect_err("a contradiction")
        .to_string();
    assert_eq!(error, "ops has no meaning with writes from another source");
}

#[test]
fn formatted_setting_parses_to_itself() {
    for seed in 0..200 {
        for setting in drawn(seed, &[]).settings() {
            assert_eq!(setting.to_string().parse(), Ok(setting), "{setting}");
        }
    }
}

#[test]
fn description_names_the_drawn_values() {
    let shape = drawn(
        3,
        &[
            "nodes=5",
            "replicas=1",
            "vbuckets=7",
            "workload=zipfian",
            "ops=900",
            "keys=12",
            "duration=2500ms",
            "engine=couchstore",
            "couchstore-version=12",
            "quota-bytes=64M",
            "crash=200ms",
        ],
    );
    let words = shape.describe();
    for word in [
        "5 nodes, 1 replica, 7 vBuckets, couchstore; 900 writes (zipfian, 12 keys",
        "2.5 s",
        "crash every 200 ms",
        "couchstore-version 12",
    ] {
        assert!(words.contains(word), "{word}: {words}");
    }
    assert!(
        !words.contains("quota") && !words.contains("log-"),
        "usual, or meaningless: {words}"
    );
    let json = serde_json::to_value(&shape).expect("JSON");
    assert_eq!(
        (&json["nodes"], &json["engine"], &json["crash"]),
        (&5.into(), &"couchstore".into(), &200_000.into())
    );
    assert!(json.get("log-mixed-segments").is_none(), "{json}");
}

#[test]
fn steps_lead_to_the_simplest_shape() {
    for seed in 0..50 {
        let mut fixed = Fixed::default();
        let mut shape = Shape::draw(seed, &fixed).expect("drawn");
        let mut steps = 0;
        while let Some(step) = shape.smaller().into_iter().next() {
            fixed.settings.extend(
                step.into_iter()
                    .map(|setting| (setting.dimension, setting.value)),
            );
            shape = Shape::draw(seed, &fixed).expect("a step contradicts nothing");
            steps += 1;
            assert!(steps < 200, "{seed}: {}", shape.describe());
        }
        assert_eq!(shape.faults().count(), 0);
        for dimension in shape.meaningful() {
            let simplest = dimension.row().map_or(0, |row| row.simplest);
            assert_eq!(shape.get(dimension), simplest, "{}", dimension.name());
        }
    }
}
