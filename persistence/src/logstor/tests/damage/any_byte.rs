//! Single bytes changed all over the log: each is reported or harmless.

use lowtide_checkpoint::Vbid;

use super::stores::assert_refused;
use crate::contract::Engine;
use crate::disk::MemoryDisk;
use crate::logstor::tests::life::{Pins, life, shown, take};
use crate::logstor::tests::support::{change_byte, contents, log_path, open};

#[test]
fn every_changed_byte_is_reported_or_harmless() {
    let disk = MemoryDisk::new();
    let (engine, _) = open(&disk).expect("opens");
    let mut pins = Pins::default();
    for (step, _) in life() {
        assert!(take(&engine, &mut pins, &step).expect("done"));
    }
    let before = shown(&engine);
    drop((pins, engine));
    let mut told = 0;
    for n in 0..400_u64 {
        let file = log_path(n as u32 % 2);
        let offset = n.wrapping_mul(2_654_435_761) % (256 << 10);
        let bit = 1 << (n % 8);
        change_byte(&disk, &file, offset, |byte| byte ^ bit);
        match open(&disk) {
            // The byte was in dead data, or in a torn end that the open cut off.
            Ok((engine, report)) if report.unreadable.is_empty() => {
                assert!(
                    shown(&engine) == before || !report.repairs.is_empty(),
                    "{n}"
                );
            }
            Ok((engine, report)) => {
                let harmed: Vec<Vbid> = report.unreadable.iter().map(|(vb, _)| *vb).collect();
                harmed.iter().for_each(|vb| assert_refused(&engine, *vb));
                let sound = engine
                    .vbuckets()
                    .into_iter()
                    .filter(|vb| !harmed.contains(vb));
                assert!(
                    sound
                        .clone()
                        .all(|vb| contents(&engine, vb) == before[&vb.0]),
                    "{n}"
                );
                told += 1;
            }
            Err(error) => {
                assert_eq!(error.kind(), "corrupt");
                told += 1;
            }
        }
        change_byte(&disk, &file, offset, |byte| byte ^ bit);
    }
    assert!(told > 50, "{told}");
}
