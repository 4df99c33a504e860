//! How far a backup has come at one place: what is there says so, and nothing else.

use anyhow::Result;

use crate::read::{Inventory, PartitionSegments, inventory};
use crate::segment::name::MANIFEST_SUFFIX;
use crate::segment::{Manifest, Name, Place};
use crate::store::Store;

/// The last segment of `place`; `None` where there is none.
///
/// A manifest that a crash has left out is written now, from the segment.
pub(super) fn find_last(store: &dyn Store, place: &Place) -> Result<Option<Manifest>> {
    last_of(store, place, Inventory::list_place(store, place)?)
}

/// As [`find_last`], among the segments behind the one that begins at `first`.
pub(super) fn find_newer(store: &dyn Store, place: &Place, first: i64) -> Result<Option<Manifest>> {
    let behind = Name::behind(place, first);
    let entries = store.list_behind(&place.folder(), &behind)?;
    last_of(store, place, Inventory::of_place(&entries, place))
}

fn last_of(
    store: &dyn Store,
    place: &Place,
    stored: PartitionSegments,
) -> Result<Option<Manifest>> {
    let Some(name) = stored.segments.into_iter().next_back() else {
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
    if let Some(manifest) = inventory::manifest(store, place, &name)? {
        return Ok(Some(manifest));
    }
    let counted = inventory::count(store, place, &name)?;
    let text = counted.text(&name.file(place));
    let path = format!("{}{MANIFEST_SUFFIX}", name.path(place));
    store.replace(&path, text.as_bytes())?;
    Ok(Some(counted))
}
