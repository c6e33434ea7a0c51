//! Lanes as QUIC streams: control is the connection's first bidirectional stream, the others are one unidirectional stream
//! each, opened when the first message is sent, whose first byte names the lane.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use bytes::Bytes;
use quinn::{Connection, ReadError, RecvStream, SendStream, WriteError};
use tokio::task::{JoinError, JoinSet};

use super::super::ends::Ends;
use super::super::frame::{self, Deframer};
use super::super::mailbox::LANES;
use super::super::{Lane, LinkError};
use super::{Side, settings, why};

/// How many bytes of messages are handed to a stream at once, about.
const BATCH: usize = 256 << 10;

/// Carries messages until one side has ended and everything that it sent is delivered.
pub(super) async fn carry(connection: &Connection, side: Side, ends: &Arc<Ends>) -> Result<(), LinkError> {
    let (send, recv) = match side {
        Side::Client => connection.open_bi().await,
        // The client opens it with its first message. Until then there is nobody to send anything to.
        Side::Server => tokio::select! {
            opened = connection.accept_bi() => opened,
            () = ends.left.wait_async() => return Ok(()),
        },
    }
    .map_err(|e| why(&e))?;
    // Sending ends when this side leaves; the other one then answers by closing the connection.
    tokio::select! {
        received = receive(connection, recv, ends) => received,
        Err(error) = send_all(connection, send, ends) => Err(error),
    }
}

async fn send_all(connection: &Connection, mut control: SendStream, ends: &Arc<Ends>) -> Result<(), LinkError> {
    let mut others = JoinSet::new();
    for lane in (1..LANES).map(Lane::from_index) {
        others.spawn(send_lane(connection.clone(), lane, ends.clone()));
    }
    let _ = control.set_priority(1);
    send_messages(connection, &mut control, Lane::Control, ends).await?;
    while let Some(sent) = others.join_next().await {
        sent.map_err(|e| stopped(&e))??;
    }
    // The end of the control lane is the end of the link, so it comes after everything else has arrived.
    finish(control).await
}

async fn send_lane(connection: Connection, lane: Lane, ends: Arc<Ends>) -> Result<(), LinkError> {
    // The stream is opened for the first message.
    let Ok(first) = ends.outbox.take_lane(lane, BATCH).await else { return Ok(()) };
    let mut stream = connection.open_uni().await.map_err(|e| why(&e))?;
    let _ = stream.set_priority(if lane == Lane::Demand { 2 } else { 0 });
    stream.write_all(&[lane.index() as u8]).await.map_err(not_written)?;
    write(&mut stream, first).await?;
    send_messages(&connection, &mut stream, lane, &ends).await?;
    finish(stream).await
}

async fn send_messages(
    connection: &Connection,
    stream: &mut SendStream,
    lane: Lane,
    ends: &Ends,
) -> Result<(), LinkError> {
    while let Ok(messages) = ends.outbox.take_lane(lane, BATCH).await {
        if matches!(lane, Lane::Bulk(_)) {
            // Four times what the path holds: behind a lost packet, what has arrived is kept as well until the second try.
            let window = connection.stats().path.cwnd.saturating_mul(4);
            connection.set_send_window(window.clamp(settings::least_send_window(), settings::MOST_SEND_WINDOW));
        }
        write(stream, messages).await?;
    }
    Ok(())
}

async fn write(stream: &mut SendStream, messages: Vec<Bytes>) -> Result<(), LinkError> {
    let mut chunks = Vec::with_capacity(messages.len() * 2);
    for message in messages {
        chunks.push(Bytes::copy_from_slice(&frame::write_plain(&message)));
        chunks.push(message);
    }
    stream.write_all_chunks(&mut chunks).await.map_err(not_written)
}

/// Ends a stream and waits until the other side has all of it.
async fn finish(mut stream: SendStream) -> Result<(), LinkError> {
    let _ = stream.finish();
    match stream.stopped().await {
        Ok(_) => Ok(()),
        Err(error) => Err(LinkError::Broken(error.to_string())),
    }
}

/// Receives on all lanes until the other side has ended.
async fn receive(connection: &Connection, control: RecvStream, ends: &Arc<Ends>) -> Result<(), LinkError> {
    let mut readers = JoinSet::new();
    let mut control = Box::pin(read_messages(control, Lane::Control, ends.clone()));
    let mut control_open = true;
    // The control lane is not opened a second time either.
    let seen = Arc::new(AtomicU8::new(1));
    loop {
        tokio::select! {
            biased;
            stream = accept(connection, ends) => {
                readers.spawn(read_lane(stream?, seen.clone(), ends.clone()));
            }
            Some(read) = readers.join_next() => read.map_err(|e| stopped(&e))??,
            read = &mut control, if control_open => {
                read?;
                control_open = false;
            }
            // What was sent before the control lane ended has been accepted by now.
            () = std::future::ready(()), if !control_open && readers.is_empty() => return Ok(()),
        }
    }
}

/// The next stream that the other side opens, once it has been let in.
async fn accept(connection: &Connection, ends: &Ends) -> Result<RecvStream, LinkError> {
    ends.admitted.wait_async().await;
    connection.accept_uni().await.map_err(|e| why(&e))
}

/// Reads the name of a stream's lane, which must be a new one, and then its messages.
async fn read_lane(mut stream: RecvStream, seen: Arc<AtomicU8>, ends: Arc<Ends>) -> Result<(), LinkError> {
    let mut name = [0];
    if stream.read(&mut name).await.map_err(not_read)?.is_none() {
        return Err(LinkError::Protocol("it opened a lane without a name".into()));
    }
    let lane = Lane::from_byte(name[0])?;
    if seen.fetch_or(1 << lane.index(), Ordering::Relaxed) & (1 << lane.index()) != 0 {
        return Err(LinkError::Protocol(format!("it opened lane {} twice", name[0])));
    }
    read_messages(stream, lane, ends).await
}

async fn read_messages(mut stream: RecvStream, lane: Lane, ends: Arc<Ends>) -> Result<(), LinkError> {
    let mut pieces = vec![Bytes::new(); 64];
    let mut deframer = Deframer::default();
    loop {
        while let Some(message) = deframer.next(frame::limit(ends.admitted.is_set()))? {
            // After leaving, what still comes is thrown away.
            let _ = ends.inbox.put_async(lane, message).await;
            ends.admitted.wait_async().await;
        }
        match stream.read_chunks(&mut pieces).await.map_err(not_read)? {
            Some(count) => pieces[..count].iter_mut().for_each(|piece| deframer.push(std::mem::take(piece))),
            None if deframer.is_between_messages() => return Ok(()),
            None => return Err(LinkError::Protocol("a lane that ends within a message".into())),
        }
    }
}

fn not_written(error: WriteError) -> LinkError {
    match error {
        WriteError::ConnectionLost(reason) => why(&reason),
        other => LinkError::Broken(other.to_string()),
    }
}

fn not_read(error: ReadError) -> LinkError {
    match error {
        ReadError::ConnectionLost(reason) => why(&reason),
        other => LinkError::Broken(other.to_string()),
    }
}

fn stopped(error: &JoinError) -> LinkError {
    LinkError::Broken(error.to_string())
}
