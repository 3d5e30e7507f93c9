//! The C face: SQLite's table of functions of a file layer and of an open file.
//!
//! An open file of ours is [`OpenFile`] followed in memory by SQLite's own open file, to which everything
//! is passed on.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::fs;
use std::mem::size_of;
use std::path::{Path, PathBuf};
use std::ptr::{self, NonNull};

use rusqlite::ffi;

use crate::image::Image;
use crate::{Fault, Shared};

/// The head of our open file. SQLite hands out memory aligned to eight bytes.
#[repr(C, align(8))]
struct OpenFile {
    base: ffi::sqlite3_file,
    shared: &'static Shared,
    /// From `Box::into_raw`; null for files without a name, which nobody will look for.
    path: *mut PathBuf,
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    // Version 2 has shared memory; version 3 would map files into memory, past `write`.
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

/// Registers a layer that keeps its images in `shared`.
pub(crate) fn register(shared: &'static Shared) {
    // SAFETY: a null name asks for the default layer, which lives as long as the process.
    let real = NonNull::new(unsafe { ffi::sqlite3_vfs_find(ptr::null()) })
        .expect("SQLite has a file layer");
    // SAFETY: the pointer is valid, and the table is plain data.
    let mut layer = unsafe { *real.as_ptr() };
    layer.iVersion = 1;
    layer.szOsFile += c_int::try_from(size_of::<OpenFile>()).expect("a small structure");
    layer.pNext = ptr::null_mut();
    layer.zName = shared.name.as_ptr();
    layer.pAppData = ptr::from_ref(shared).cast_mut().cast();
    layer.xOpen = Some(open);
    layer.xDelete = Some(delete);
    layer.xAccess = Some(access);
    layer.xFullPathname = Some(full_pathname);
    let layer = Box::leak(Box::new(layer));
    // SAFETY: the table is complete and never freed.
    let result = unsafe { ffi::sqlite3_vfs_register(layer, 0) };
    assert_eq!(result, ffi::SQLITE_OK, "SQLite takes a file layer");
}

/// SQLite's own layer.
fn real_layer() -> *mut ffi::sqlite3_vfs {
    // SAFETY: as in `register`; the default layer is never replaced, for ours are not made the default.
    unsafe { ffi::sqlite3_vfs_find(ptr::null()) }
}

/// The head of one of our open files.
///
/// # Safety
/// `file` came from SQLite with one of [`METHODS`], or is being opened and its head was written.
unsafe fn head<'a>(file: *mut ffi::sqlite3_file) -> &'a OpenFile {
    // SAFETY: by the caller's promise the memory is an initialised `OpenFile`.
    unsafe { &*file.cast::<OpenFile>() }
}

/// SQLite's own open file behind the head.
///
/// # Safety
/// `file` points to at least the `szOsFile` bytes of our layer.
unsafe fn real_file(file: *mut ffi::sqlite3_file) -> *mut ffi::sqlite3_file {
    // SAFETY: `szOsFile` is the size of the head and of SQLite's own file together.
    unsafe { file.cast::<u8>().add(size_of::<OpenFile>()).cast() }
}

/// The methods of SQLite's own open file.
///
/// # Safety
/// `file` is one of our open files.
unsafe fn real_methods<'a>(file: *mut ffi::sqlite3_file) -> &'a ffi::sqlite3_io_methods {
    // SAFETY: the real file was opened, so that its table is set and static.
    unsafe { &*(*real_file(file)).pMethods }
}

/// Changes the image of an open file, if it has a name.
///
/// # Safety
/// `file` is one of our open files.
unsafe fn change(file: *mut ffi::sqlite3_file, change: impl FnOnce(&mut Image)) {
    // SAFETY: by the caller's promise; the path is ours until `close`.
    let (shared, path) = unsafe { (head(file).shared, head(file).path.as_ref()) };
    if let Some(path) = path {
        change(shared.lock().images.entry(path.clone()).or_default());
    }
}

unsafe extern "C" fn open(
    layer: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    // SAFETY: SQLite calls this with our layer, whose data is the leaked `Shared`, with a name that is null or
    // lives as long as the file, and with `szOsFile` bytes for the file.
    unsafe {
        let shared: &'static Shared = &*(*layer).pAppData.cast::<Shared>();
        let mut new = OpenFile {
            base: ffi::sqlite3_file {
                pMethods: ptr::null(),
            },
            shared,
            path: ptr::null_mut(),
        };
        let real = real_layer();
        let opened = (*real).xOpen.map_or(ffi::SQLITE_CANTOPEN, |open| {
            open(real, name, real_file(file), flags, out_flags)
        });
        if opened == ffi::SQLITE_OK {
            new.base.pMethods = &raw const METHODS;
            if !name.is_null() {
                let path = path_of(name);
                begin(shared, &path);
                new.path = Box::into_raw(Box::new(path));
            }
        }
        file.cast::<OpenFile>().write(new);
        opened
    }
}

/// Notes a file that is opened: what is in it before the first open counts as synced.
fn begin(shared: &Shared, path: &Path) {
    let is_empty = fs::metadata(path).is_ok_and(|metadata| metadata.len() == 0);
    let mut state = shared.lock();
    match state.images.get(path) {
        // Made anew since, by SQLite or behind its back.
        Some(image) if image.is_removed() || (is_empty && !image.is_untouched()) => {}
        Some(_) => return,
        None => {}
    }
    // Only files that are not open yet are read: closing any handle of a file ends this process's locks on it.
    let image = if is_empty {
        Image::default()
    } else {
        Image::existing(fs::read(path).unwrap_or_default())
    };
    state.images.insert(path.to_owned(), image);
}

/// # Safety
/// `name` is a C string.
unsafe fn path_of(name: *const c_char) -> PathBuf {
    // SAFETY: by the caller's promise.
    PathBuf::from(
        unsafe { CStr::from_ptr(name) }
            .to_string_lossy()
            .into_owned(),
    )
}

unsafe extern "C" fn delete(
    layer: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    sync_folder: c_int,
) -> c_int {
    // SAFETY: SQLite calls this with our layer and a C string.
    unsafe {
        let shared: &'static Shared = &*(*layer).pAppData.cast::<Shared>();
        let real = real_layer();
        let result = (*real)
            .xDelete
            .map_or(ffi::SQLITE_IOERR, |delete| delete(real, name, 0));
        let path = path_of(name);
        let mut state = shared.lock();
        if sync_folder != 0 {
            state.images.remove(&path);
        } else if let Some(image) = state.images.get_mut(&path) {
            image.remove();
        }
        result
    }
}

unsafe extern "C" fn access(
    _layer: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    let real = real_layer();
    // SAFETY: the arguments are SQLite's own, passed on.
    unsafe {
        (*real)
            .xAccess
            .map_or(ffi::SQLITE_IOERR, |access| access(real, name, flags, out))
    }
}

unsafe extern "C" fn full_pathname(
    _layer: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    out_bytes: c_int,
    out: *mut c_char,
) -> c_int {
    let real = real_layer();
    // SAFETY: the arguments are SQLite's own, passed on.
    unsafe {
        (*real)
            .xFullPathname
            .map_or(ffi::SQLITE_IOERR, |full| full(real, name, out_bytes, out))
    }
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: SQLite closes an open file of ours once; the path came from `Box::into_raw`.
    unsafe {
        let result = real_methods(file)
            .xClose
            .map_or(ffi::SQLITE_IOERR, |close| close(real_file(file)));
        let path = head(file).path;
        if !path.is_null() {
            drop(Box::from_raw(path));
        }
        result
    }
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    data: *const c_void,
    length: c_int,
    offset: ffi::sqlite3_int64,
) -> c_int {
    // SAFETY: SQLite calls this with an open file of ours and `length` bytes of data.
    unsafe {
        if head(file).shared.lock().fault == Fault::DiskFull {
            return ffi::SQLITE_FULL;
        }
        let bytes =
            std::slice::from_raw_parts(data.cast::<u8>(), usize::try_from(length).unwrap_or(0));
        let begin = usize::try_from(offset).unwrap_or(0);
        // Noted first: what is on its way to the disk may get there whenever the power fails.
        change(file, |image| image.write(begin, bytes));
        real_methods(file)
            .xWrite
            .map_or(ffi::SQLITE_IOERR, |write| {
                write(real_file(file), data, length, offset)
            })
    }
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, length: ffi::sqlite3_int64) -> c_int {
    // SAFETY: SQLite calls this with an open file of ours.
    unsafe {
        change(file, |image| {
            image.truncate(usize::try_from(length).unwrap_or(0))
        });
        real_methods(file)
            .xTruncate
            .map_or(ffi::SQLITE_IOERR, |truncate| {
                truncate(real_file(file), length)
            })
    }
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, _flags: c_int) -> c_int {
    // SAFETY: SQLite calls this with an open file of ours.
    unsafe {
        let mut state = head(file).shared.lock();
        state.syncs += 1;
        if state.fault == Fault::SyncFails {
            return ffi::SQLITE_IOERR_FSYNC;
        }
        if let Some(path) = head(file).path.as_ref() {
            state.sync(path);
        }
    }
    ffi::SQLITE_OK
}

/// Passes a call to SQLite's own open file.
macro_rules! pass_on {
    ($($name:ident as $method:ident($($argument:ident: $kind:ty),*) -> $result:ty, or $missing:expr;)*) => {
        $(unsafe extern "C" fn $name(file: *mut ffi::sqlite3_file, $($argument: $kind),*) -> $result {
            // SAFETY: the file is an open one of ours; the other arguments are SQLite's own, passed on.
            unsafe { real_methods(file).$method.map_or($missing, |method| method(real_file(file), $($argument),*)) }
        })*
    };
}

pass_on! {
    read as xRead(out: *mut c_void, length: c_int, offset: ffi::sqlite3_int64) -> c_int, or ffi::SQLITE_IOERR;
    file_size as xFileSize(out: *mut ffi::sqlite3_int64) -> c_int, or ffi::SQLITE_IOERR;
    lock as xLock(level: c_int) -> c_int, or ffi::SQLITE_IOERR;
    unlock as xUnlock(level: c_int) -> c_int, or ffi::SQLITE_IOERR;
    check_reserved_lock as xCheckReservedLock(out: *mut c_int) -> c_int, or ffi::SQLITE_IOERR;
    file_control as xFileControl(operation: c_int, argument: *mut c_void) -> c_int, or ffi::SQLITE_NOTFOUND;
    sector_size as xSectorSize() -> c_int, or 4_096;
    device_characteristics as xDeviceCharacteristics() -> c_int, or 0;
    shm_map as xShmMap(region: c_int, bytes: c_int, extend: c_int, out: *mut *mut c_void) -> c_int, or ffi::SQLITE_IOERR;
    shm_lock as xShmLock(offset: c_int, count: c_int, flags: c_int) -> c_int, or ffi::SQLITE_IOERR;
    shm_barrier as xShmBarrier() -> (), or ();
    shm_unmap as xShmUnmap(delete: c_int) -> c_int, or ffi::SQLITE_IOERR;
}
