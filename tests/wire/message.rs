//! Messages taken apart by hand, as far as the rules of the wire need it, and the rules that every
//! stream of messages keeps.

/// Octets of a flow's record, for IPv4 and IPv6: the sums of the lengths of its elements.
pub const IPFIX_RECORD: [usize; 2] = [68, 92];
pub const NETFLOW9_RECORD: [usize; 2] = [56, 80];
pub const NETFLOW5_RECORD: usize = 48;

/// A message of any of the three protocols.
#[derive(Clone, Debug)]
pub struct Message {
    pub version: u16,
    /// Records of NetFlow v5 and v9; the length of IPFIX.
    pub count: u16,
    /// sysUpTime in milliseconds; 0 in IPFIX.
    pub uptime: u32,
    pub seconds: u32,
    /// NetFlow v5 only.
    pub nanoseconds: u32,
    pub sequence: u32,
    /// Source ID or Observation Domain ID; NetFlow v5: engine type and id, sampling.
    pub domain: u32,
    /// Sets in their order; NetFlow v5: one without an id.
    pub sets: Vec<Set>,
}

/// A set without its header.
#[derive(Clone, Debug)]
pub struct Set {
    pub id: u16,
    pub content: Vec<u8>,
}

impl Message {
    /// Takes a message apart. Lengths must be right to the octet.
    pub fn read(octets: &[u8]) -> Self {
        let mut reader = Reader(octets);
        let version = reader.u16();
        let count = reader.u16();
        if version == 10 {
            assert_eq!(usize::from(count), octets.len(), "the length of a message is its octets");
        }
        let uptime = if version == 10 { 0 } else { reader.u32() };
        let seconds = reader.u32();
        let nanoseconds = if version == 5 { reader.u32() } else { 0 };
        let sequence = reader.u32();
        let domain = reader.u32();
        let sets = if version == 5 {
            vec![Set { id: 0, content: reader.0.to_vec() }]
        } else {
            reader.sets()
        };
        Self { version, count, uptime, seconds, nanoseconds, sequence, domain, sets }
    }

    /// Whether it has templates or options instead of flows.
    pub fn is_announcement(&self) -> bool {
        self.version != 5 && !matches!(self.sets[0].id, 256 | 257)
    }

    /// Records of flows, each with its octets.
    pub fn flows(&self) -> Vec<&[u8]> {
        if self.is_announcement() {
            return Vec::new();
        }
        self.sets.iter().flat_map(|set| set.flows(self.version)).collect()
    }

    /// Start and end of each flow in milliseconds since the epoch, from NetFlow v5 and v9.
    pub fn flow_times(&self) -> Vec<(u64, u64)> {
        let now = u64::from(self.seconds) * 1000 + u64::from(self.nanoseconds / 1_000_000);
        let boot = now.checked_sub(self.uptime.into()).expect("it booted after 1970");
        let at = if self.version == 5 { 24 } else { 0 };
        let times = self.flows().into_iter().map(|flow| {
            let mut reader = Reader(&flow[at..]);
            let (first, last) = (reader.u32(), reader.u32());
            assert!(first <= last && last <= self.uptime, "{first} {last} {}", self.uptime);
            (boot + u64::from(first), boot + u64::from(last))
        });
        times.collect()
    }
}

impl Set {
    fn flows(&self, version: u16) -> Vec<&[u8]> {
        let length = match (version, self.id) {
            (5, _) => NETFLOW5_RECORD,
            (9, 256) => NETFLOW9_RECORD[0],
            (9, 257) => NETFLOW9_RECORD[1],
            (10, 256) => IPFIX_RECORD[0],
            (10, 257) => IPFIX_RECORD[1],
            (_, id) => panic!("no flows have template {id}"),
        };
        let records = self.content.chunks_exact(length);
        let padding = records.remainder();
        assert!(padding.len() < 4 && padding.iter().all(|&octet| octet == 0), "{padding:?}");
        records.collect()
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        taken
    }

    fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.take(2).try_into().unwrap())
    }

    fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.take(4).try_into().unwrap())
    }

    /// Sets until the end, whose lengths add up to it.
    fn sets(mut self) -> Vec<Set> {
        let mut sets = Vec::new();
        while !self.0.is_empty() {
            let id = self.u16();
            let length = usize::from(self.u16());
            assert!(length > 4, "a set has content");
            sets.push(Set { id, content: self.take(length - 4).to_vec() });
        }
        sets
    }
}

/// The numbers of an Options Data Record under a template id, its scope first, with lengths from
/// the Options Template of the same message.
pub fn options(message: &Message, id: u16) -> Vec<u64> {
    let words = |set: &Set| -> Vec<u16> {
        set.content.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect()
    };
    let mut templates = message.sets.iter().filter(|set| matches!(set.id, 1 | 3)).map(words);
    let template = templates.find(|words| words[0] == id).expect("its template is there");
    let set = message.sets.iter().find(|set| set.id == id).expect("its record is there");
    let mut reader = Reader(&set.content);
    // After the template id and two counts, which differ between protocols: elements and lengths.
    let value = |field: &[u16]| {
        let octets = reader.take(field[1].into());
        octets.iter().fold(0, |number, &octet| number << 8 | u64::from(octet))
    };
    template[3..].chunks_exact(2).map(value).collect()
}

/// The messages of a file: each says how long it is.
pub fn split_file(mut file: &[u8]) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    while let [_, _, high, low, ..] = *file {
        let (message, rest) = file.split_at(u16::from_be_bytes([high, low]).into());
        messages.push(message.to_vec());
        file = rest;
    }
    assert!(file.is_empty());
    messages
}

/// Reads a stream and checks what holds for all messages of a session: sequence numbers, counts,
/// header times that never decrease, and what collectors take.
pub fn read_stream(datagrams: &[Vec<u8>]) -> Vec<Message> {
    let messages: Vec<_> = datagrams.iter().map(|datagram| Message::read(datagram)).collect();
    let mut sequence = 0_u32;
    let mut last = (0, 0);
    for message in &messages {
        assert_eq!(message.sequence, sequence, "{message:?}");
        let flows = u32::try_from(message.flows().len()).unwrap();
        assert!(flows < 1000, "one lost message is no reason to drop a session");
        sequence += match message.version {
            // Flows before the datagram.
            5 => {
                assert_eq!(u32::from(message.count), flows);
                assert!((1..=30).contains(&flows));
                flows
            }
            // Packets before this one; Count is of templates, options and flows alike.
            9 => {
                let announced = 2 + 3 + 3;
                let count = if message.is_announcement() { announced } else { flows };
                assert_eq!(u32::from(message.count), count);
                1
            }
            // Data Records before this message, those of options included.
            10 if message.is_announcement() => 4,
            10 => flows,
            other => panic!("version {other}"),
        };
        if message.version != 10 {
            message.flow_times();
        }
        assert!((message.seconds, message.nanoseconds) >= last);
        last = (message.seconds, message.nanoseconds);
    }
    messages
}
