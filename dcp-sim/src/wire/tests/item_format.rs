//! The setters of an item format.

use crate::wire::{DeletionForm, ItemFormat, KeyForm};

#[test]
fn each_setter_of_an_item_format_sets_its_own_field() {
    assert_eq!(
        ItemFormat::new()
            .with_keys(KeyForm::Bare)
            .with_deletions(DeletionForm::V1)
            .without_expirations(),
        ItemFormat {
            keys: KeyForm::Bare,
            deletions: DeletionForm::V1,
            expirations: false,
        }
    );
}
