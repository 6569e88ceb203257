//! How foca's heads and members stand in a datagram. A format: it changes with the version of datagrams.
//!
//! Written by hand, because members stand one after the other without lengths, and some fifty bytes each decide how
//! many fit. Promises that whatever bytes come, decoding ends with a value or an error.

use bytes::{Buf, BufMut};
use foca::{Codec, Header, Member, Message, State};
use synod_domain::id::NodeId;

use crate::gossip::presence::Presence;

/// Writes and reads them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plain;

/// Why bytes are no head or member, or do not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Error {
    #[error("it does not fit the datagram")]
    Full,
    #[error("it ends too early")]
    Short,
    #[error("{0} is no kind of message, state or text")]
    Unknown(u8),
}

/// The bytes of a presence without its address.
const PRESENCE_BYTES: usize = 16 + 8 + 4 + 1;

fn room(buf: &impl BufMut, bytes: usize) -> Result<(), Error> {
    if buf.remaining_mut() < bytes { Err(Error::Full) } else { Ok(()) }
}

fn left(buf: &impl Buf, bytes: usize) -> Result<(), Error> {
    if buf.remaining() < bytes { Err(Error::Short) } else { Ok(()) }
}

pub(super) fn put_presence(presence: &Presence, buf: &mut impl BufMut) -> Result<(), Error> {
    let address = presence.address.as_bytes();
    room(buf, PRESENCE_BYTES + address.len())?;
    buf.put_u128(presence.node.raw());
    buf.put_u64(presence.generation);
    buf.put_u32(presence.renewed);
    buf.put_u8(u8::try_from(address.len()).map_err(|_| Error::Full)?);
    buf.put_slice(address);
    Ok(())
}

pub(super) fn get_presence(buf: &mut impl Buf) -> Result<Presence, Error> {
    left(buf, PRESENCE_BYTES)?;
    let node = NodeId::from_raw(buf.get_u128());
    let (generation, renewed) = (buf.get_u64(), buf.get_u32());
    let length = buf.get_u8();
    left(buf, usize::from(length))?;
    let mut address = vec![0; usize::from(length)];
    buf.copy_to_slice(&mut address);
    let address = String::from_utf8(address).map_err(|_| Error::Unknown(length))?;
    Ok(Presence { node, generation, renewed, address })
}

impl Codec<Presence> for Plain {
    type Error = Error;

    fn encode_header(&mut self, header: &Header<Presence>, mut buf: impl BufMut) -> Result<(), Error> {
        put_presence(&header.src, &mut buf)?;
        room(&buf, 2)?;
        buf.put_u16(header.src_incarnation);
        put_presence(&header.dst, &mut buf)?;
        let (kind, number, other) = match &header.message {
            Message::Ping(number) => (1, Some(number), None),
            Message::Ack(number) => (2, Some(number), None),
            Message::PingReq { target, probe_number } => (3, Some(probe_number), Some(target)),
            Message::IndirectPing { origin, probe_number } => (4, Some(probe_number), Some(origin)),
            Message::IndirectAck { target, probe_number } => (5, Some(probe_number), Some(target)),
            Message::ForwardedAck { origin, probe_number } => (6, Some(probe_number), Some(origin)),
            Message::Announce => (7, None, None),
            Message::Feed => (8, None, None),
            Message::Gossip => (9, None, None),
            Message::Broadcast => (10, None, None),
            Message::TurnUndead => (11, None, None),
        };
        room(&buf, 2)?;
        buf.put_u8(kind);
        if let Some(number) = number {
            buf.put_u8(*number);
        }
        other.map_or(Ok(()), |presence| put_presence(presence, &mut buf))
    }

    fn decode_header(&mut self, mut buf: impl Buf) -> Result<Header<Presence>, Error> {
        let src = get_presence(&mut buf)?;
        left(&buf, 2)?;
        let src_incarnation = buf.get_u16();
        let dst = get_presence(&mut buf)?;
        left(&buf, 1)?;
        let kind = buf.get_u8();
        let mut probe = || {
            left(&buf, 1)?;
            Ok(buf.get_u8())
        };
        let message = match kind {
            1 => Message::Ping(probe()?),
            2 => Message::Ack(probe()?),
            3 => Message::PingReq { probe_number: probe()?, target: get_presence(&mut buf)? },
            4 => Message::IndirectPing { probe_number: probe()?, origin: get_presence(&mut buf)? },
            5 => Message::IndirectAck { probe_number: probe()?, target: get_presence(&mut buf)? },
            6 => Message::ForwardedAck { probe_number: probe()?, origin: get_presence(&mut buf)? },
            7 => Message::Announce,
            8 => Message::Feed,
            9 => Message::Gossip,
            10 => Message::Broadcast,
            11 => Message::TurnUndead,
            other => return Err(Error::Unknown(other)),
        };
        Ok(Header { src, src_incarnation, dst, message })
    }

    fn encode_member(&mut self, member: &Member<Presence>, mut buf: impl BufMut) -> Result<(), Error> {
        // All or nothing: foca fills a datagram until one does not fit.
        room(&buf, PRESENCE_BYTES + member.id().address.len() + 3)?;
        put_presence(member.id(), &mut buf)?;
        buf.put_u16(member.incarnation());
        buf.put_u8(match member.state() {
            State::Alive => 1,
            State::Suspect => 2,
            State::Down => 3,
        });
        Ok(())
    }

    fn decode_member(&mut self, mut buf: impl Buf) -> Result<Member<Presence>, Error> {
        let presence = get_presence(&mut buf)?;
        left(&buf, 3)?;
        let incarnation = buf.get_u16();
        let state = match buf.get_u8() {
            1 => State::Alive,
            2 => State::Suspect,
            3 => State::Down,
            other => return Err(Error::Unknown(other)),
        };
        Ok(Member::new(presence, incarnation, state))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn presence(node: u128) -> Presence {
        Presence { node: NodeId::from_raw(node), generation: 3, renewed: 1, address: "a:1".to_owned() }
    }

    fn messages() -> Vec<Message<Presence>> {
        let (probe_number, other) = (9, || presence(7));
        vec![
            Message::Ping(probe_number),
            Message::Ack(probe_number),
            Message::PingReq { target: other(), probe_number },
            Message::IndirectPing { origin: other(), probe_number },
            Message::IndirectAck { target: other(), probe_number },
            Message::ForwardedAck { origin: other(), probe_number },
            Message::Announce,
            Message::Feed,
            Message::Gossip,
            Message::Broadcast,
            Message::TurnUndead,
        ]
    }

    #[test]
    fn every_message_and_member_comes_back_as_it_went_and_whatever_is_cut_off_is_refused() {
        for message in messages() {
            let header = Header { src: presence(1), src_incarnation: 5, dst: presence(2), message };
            let mut bytes = Vec::new();
            Plain.encode_header(&header, &mut bytes).unwrap();
            assert_eq!(Plain.decode_header(&bytes[..]), Ok(header));
            for end in 0..bytes.len() {
                assert_eq!(Plain.decode_header(&bytes[..end]), Err(Error::Short));
            }
        }
        for state in [State::Alive, State::Suspect, State::Down] {
            let member = Member::new(presence(1), 8, state);
            let mut bytes = Vec::new();
            Plain.encode_member(&member, &mut bytes).unwrap();
            assert_eq!(Plain.decode_member(&bytes[..]), Ok(member));
        }
    }

    #[test]
    fn member_is_these_bytes() {
        let mut bytes = Vec::new();
        Plain.encode_member(&Member::new(presence(1), 8, State::Suspect), &mut bytes).unwrap();
        let expected =
            [&[0; 15][..], &[1, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 1, 3], b"a:1", &[0, 8, 2]].concat();
        assert_eq!(bytes, expected);
    }

    #[test]
    fn member_that_does_not_fit_leaves_the_datagram_as_it_was() {
        let mut bytes = Vec::new();
        let mut limited = (&mut bytes).limit(PRESENCE_BYTES + 5);
        assert_eq!(Plain.encode_member(&Member::alive(presence(1)), &mut limited), Err(Error::Full));
        assert!(bytes.is_empty());
    }
}
