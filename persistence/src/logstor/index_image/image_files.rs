//! The image files of a store's directory: finding the newest sound one, and removing the others.

use super::file_names::{RUNS, UNFINISHED, image_number};
use super::image::Image;
use crate::contract::EngineError;
use crate::logstor::log::StoreContext;

/// Returns the names of the image files of a directory, newest first. An unfinished one has no
/// number.
fn image_files(context: &StoreContext) -> Result<Vec<(Option<u64>, String)>, EngineError> {
    let names = context.disk.list(&context.dir)?;
    let mut images: Vec<_> = names
        .into_iter()
        .filter_map(|name| {
            let mut suffixes = [UNFINISHED, RUNS].iter();
            let finished = suffixes.find_map(|suffix| name.strip_suffix(suffix));
            let finished = finished.unwrap_or(&name);
            let number = image_number(finished)?;
            Some(((finished == name).then_some(number), name))
        })
        .collect();
    images.sort_unstable_by(|a, b| b.cmp(a));
    Ok(images)
}

/// Opens the newest sound image of a store. The inner error is the reason why there is none.
///
/// # Errors
/// [`EngineError::Disk`].
pub(in crate::logstor) fn newest_image(
    context: &StoreContext,
) -> Result<Result<Image, String>, EngineError> {
    let mut why = "there is none".to_owned();
    for (number, name) in image_files(context)? {
        let Some(number) = number else { continue };
        match Image::open(
            &*context.disk,
            context.dir.join(&name),
            context.hash_key,
            number,
        )? {
            Ok(image) => return Ok(Ok(image)),
            Err(what) => why = format!("{name}: {what}"),
        }
    }
    Ok(Err(why))
}

/// Removes all images except one, and unfinished ones.
///
/// # Errors
/// [`EngineError::Disk`].
pub(in crate::logstor) fn remove_other_images(
    context: &StoreContext,
    keep: Option<&Image>,
) -> Result<(), EngineError> {
    for (number, name) in image_files(context)? {
        if number.is_some() && number == keep.map(Image::number) {
            continue;
        }
        context.remove_if_there(&context.dir.join(name))?;
    }
    Ok(())
}
