//! From a source of frames to observations: the filter and the reader of payload come first.

use flow::Observer;

use crate::capture::filter::FrameFilter;
use crate::capture::{CaptureError, PacketSource, Polled};
use crate::pipeline::payload::{FindingSink, PayloadReader};

/// Observes the next frames of a source, at most `frames_max`, except those that the filter
/// excludes. Calls `each` after each frame. If payload is read, that is done before the frame is
/// observed.
///
/// # Errors
///
/// The source as a whole has failed.
#[inline]
pub(crate) fn observe<S: FindingSink>(
    source: &mut impl PacketSource,
    frames_max: usize,
    filter: Option<&FrameFilter>,
    payload: Option<&mut PayloadReader>,
    observer: &mut Observer,
    sink: &mut S,
    mut each: impl FnMut(&mut Observer, &mut S),
) -> Result<Polled, CaptureError> {
    match (filter, payload) {
        (None, None) => source.poll(frames_max, |frame| {
            observer.observe(frame, sink);
            each(observer, sink);
        }),
        (Some(filter), None) => source.poll(frames_max, |frame| {
            if filter.passes(frame) {
                observer.observe(frame, sink);
            } else {
                observer.count_filtered(frame);
            }
            each(observer, sink);
        }),
        (filter, Some(payload)) => source.poll(frames_max, |frame| {
            if filter.is_none_or(|filter| filter.passes(frame)) {
                payload.look(frame, sink);
                observer.observe(frame, sink);
            } else {
                observer.count_filtered(frame);
            }
            each(observer, sink);
        }),
    }
}
