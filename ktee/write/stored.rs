//! How far a backup has come at one place: what is there says so, and nothing else.

use anyhow::Result;

use crate::read::{Catalog, catalog};
use crate::segment::name::MANIFEST_SUFFIX;
use crate::segment::{Manifest, Place};
use crate::store::Store;

/// The last segment of `place`; `None` where there is none.
///
/// A manifest that a crash has left out is written now, from the segment.
pub(super) fn find_last(store: &dyn Store, place: &Place) -> Result<Option<Manifest>> {
    let shelf = Catalog::list_place(store, place)?;
    let Some(name) = shelf.segments.last() else {
        return Ok(None);
    };
    if *place == Place::Lines {
        // Only its number counts.
        return Ok(Some(Manifest {
            first: name.first,
            last: name.first,
            ..Manifest::default()
        }));
    }
    if let Some(manifest) = catalog::manifest(store, place, name)? {
        return Ok(Some(manifest));
    }
    let counted = catalog::count(store, place, name)?;
    let text = counted.text(&name.file(place));
    let path = format!("{}{MANIFEST_SUFFIX}", name.path(place));
    store.replace(&path, text.as_bytes())?;
    Ok(Some(counted))
}
