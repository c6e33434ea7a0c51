//! From the drive, which answers by calling back, to futures; and from its errors to those of WebDAV.

use std::sync::Arc;

use dav_server::fs::{FsError, FsResult};
use rustix::io::Errno;
use tokio::sync::oneshot;

use crate::drive::Drive;
use crate::error::{Reach, ReadError};

/// Asks about folders: at once if it is in memory, else a worker answers.
pub(super) async fn ask<T: Send + 'static>(
    drive: &Arc<Drive>,
    question: impl Fn(&Drive, Reach) -> Result<T, ReadError> + Send + 'static,
) -> FsResult<T> {
    let (send, receive) = oneshot::channel();
    // Who asked may have gone.
    drive.ask(question, move |answer| _ = send.send(answer));
    answered(receive).await
}

/// Has a worker do something: whatever waits for a disk must not keep the other connections waiting.
pub(super) async fn work<T: Send + 'static>(
    drive: &Arc<Drive>,
    work: impl FnOnce(&Drive) -> Result<T, ReadError> + Send + 'static,
) -> FsResult<T> {
    let (send, receive) = oneshot::channel();
    match drive.keeper() {
        // A lock may be needed for it, and that may take its time.
        Some(_) => drive.wait(move |drive| _ = send.send(work(drive))),
        None => drive.work(move |drive| _ = send.send(work(drive))),
    }
    answered(receive).await
}

/// Waits for what a worker answers.
pub(super) async fn answered<T>(receive: oneshot::Receiver<Result<T, ReadError>>) -> FsResult<T> {
    match receive.await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(fs_error(&error)),
        // The work panicked.
        Err(_) => Err(FsError::GeneralFailure),
    }
}

/// An error as dav-server makes a status of it.
fn fs_error(error: &ReadError) -> FsError {
    match error {
        ReadError::NoInode(_) | ReadError::NotAFolder => FsError::NotFound,
        ReadError::IsAFolder => FsError::Forbidden,
        ReadError::TooNew => FsError::NotImplemented,
        // "Bad gateway": what is behind this server does not give it.
        ReadError::NotHere | ReadError::TimedOut | ReadError::Source(_) => FsError::IsRemote,
        ReadError::OutOfReach | ReadError::Store(_) => FsError::GeneralFailure,
        ReadError::System(errno) => match *errno {
            Errno::NOENT | Errno::NOTDIR | Errno::STALE => FsError::NotFound,
            Errno::EXIST | Errno::NOTEMPTY => FsError::Exists,
            Errno::ROFS | Errno::PERM | Errno::ACCESS | Errno::ISDIR => FsError::Forbidden,
            Errno::NOSPC | Errno::DQUOT => FsError::InsufficientStorage,
            Errno::NAMETOOLONG => FsError::PathTooLong,
            Errno::FBIG => FsError::TooLarge,
            Errno::LOOP => FsError::LoopDetected,
            Errno::NOTSUP => FsError::NotImplemented,
            _ => FsError::GeneralFailure,
        },
    }
}
