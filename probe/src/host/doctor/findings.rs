//! Findings from facts.

use exporter::{Finding, Level};

use flow::TunnelKind;
use flow::words::grouped;

use super::facts::{Facts, Memory, Share};
use super::spreading;
use super::traffic::Traffic;
use crate::capture::afxdp::mebibytes;
use crate::capture::layer::Layer;
use crate::capture::offloads::{CapturePlace, HarmfulOffload, harmful_offloads};
use crate::capture::xdp::plan::{KERNEL_MIN, KERNEL_MIN_FRAGS, ONE_BUFFER_MTU_MAX};
use crate::host::method::Method;
use crate::host::rights;
use crate::host::system::Support;
use crate::report::tunnels::{remedy, share};

/// All findings, in the order of the report.
pub(super) fn all(facts: &Facts, method: &Method) -> Vec<Finding> {
    [
        Some(kernel(facts)),
        Some(capabilities(facts)),
        Some(memory(facts, method)),
        Some(locked_memory(facts)),
        Some(link(facts)),
        Some(host(facts)),
        program(facts, method),
        Some(driver(facts)),
        Some(queues(facts)),
        spreading::fragments(facts),
        Some(spreading::directions(facts, method)),
        ring(facts),
        lro(facts, method),
        gro(facts, method),
        rxvlan(facts, method),
        Some(mtu(facts)),
        tunnels(facts),
        Some(capture(facts, method)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn kernel(facts: &Facts) -> Finding {
    let system = &facts.system;
    let version = system.kernel;
    let absent: Vec<&str> = [
        ("packet sockets", &system.packet_sockets),
        ("AF_XDP", &system.xdp_sockets),
        ("BPF", &system.bpf),
    ]
    .into_iter()
    .filter_map(|(name, support)| matches!(support, Support::No(_)).then_some(name))
    .collect();
    let finding = Finding::ok("kernel", format!("Linux {version}"));
    if matches!(system.packet_sockets, Support::No(_)) {
        let text = format!("Linux {version} without {}", absent.join(", "));
        Finding { text, ..finding }.at(Level::Fail, "a kernel with CONFIG_PACKET is needed")
    } else if version < KERNEL_MIN {
        let text = format!("Linux {version}: AF_XDP needs {KERNEL_MIN}, AF_PACKET works");
        Finding { text, ..finding }.at(Level::Warn, "upgrade the kernel")
    } else if absent.is_empty() {
        finding
    } else {
        let text = format!("Linux {version} without {}: AF_PACKET works", absent.join(", "));
        Finding { text, ..finding }
            .at(Level::Warn, "CONFIG_XDP_SOCKETS and CONFIG_BPF_SYSCALL are needed")
    }
}

fn capabilities(facts: &Facts) -> Finding {
    let system = &facts.system;
    let supports = [&system.packet_sockets, &system.xdp_sockets, &system.bpf];
    let finding = |text| Finding::ok("capabilities", text);
    if let Some(missing) = system.lacks(&rights::XDP) {
        if system.lacks(&rights::PACKET).is_some() {
            finding(format!("without {missing}")).at(Level::Fail, GRANT)
        } else {
            finding(format!("without {missing}: AF_PACKET works, AF_XDP does not"))
                .at(Level::Warn, GRANT)
        }
    } else if supports.contains(&&Support::Forbidden) {
        let text = "there, but not for the whole system, as in a container";
        finding(text.to_owned()).at(Level::Warn, "give them in the initial user namespace")
    } else {
        finding("CAP_NET_RAW, CAP_NET_ADMIN, CAP_BPF".to_owned())
    }
}

/// With several interfaces, the last one has the total.
fn memory(facts: &Facts, method: &Method) -> Finding {
    let Memory { sockets: own, flows, rest, waiting } = facts.memory(method);
    let Share { interfaces, is_last, before, .. } = facts.share;
    let sockets = own + before.xdp + before.packet;
    let [all, sockets, own, flows, rest, waiting] =
        [sockets + flows + rest, sockets, own, flows, rest, waiting]
            .map(|octets| octets.div_ceil(1 << 20));
    let total = format!(
        "{all} MiB: sockets {sockets}, flows {flows}, rest {rest}; slow outputs take up to {waiting} \
         more"
    );
    let text = match interfaces {
        1 => total,
        _ if is_last => format!("sockets {own} MiB; all {interfaces} interfaces: {total}"),
        _ => format!("sockets {own} MiB"),
    };
    match &facts.shortage {
        None => Finding::ok("memory", text),
        Some(shortage) => {
            let is_fatal = facts.obstacle.as_ref() == Some(shortage);
            let level = if is_fatal { Level::Fail } else { Level::Warn };
            Finding::ok("memory", format!("{text}; {shortage}")).at(level, LESS_MEMORY)
        }
    }
}

fn locked_memory(facts: &Facts) -> Finding {
    let needed = facts.xdp_settings().memory();
    let finding = |text| Finding::ok("locked memory", text);
    let needs = format!("AF_XDP needs {}", mebibytes(needed));
    match facts.system.lockable() {
        None => finding(format!("no limit; {needs}")),
        Some(most) if most >= needed => {
            finding(format!("the limit is {} MiB; {needs}", most >> 20))
        }
        Some(most) => {
            let text = format!("the limit is {} MiB; {needs}, or less with --ring", most >> 20);
            finding(text).at(
                Level::Warn,
                "LimitMEMLOCK=infinity in the service, ulimit -l unlimited in a shell, or \
                 CAP_IPC_LOCK",
            )
        }
    }
}

fn link(facts: &Facts) -> Finding {
    let interface = &facts.interface;
    let finding = |text: String| Finding::ok("link", text);
    if Layer::of(interface.hardware).is_none() {
        let text = format!("ARPHRD {}, neither Ethernet nor IP", interface.hardware);
        finding(text).at(Level::Fail, "capture on the interface below it")
    } else if !interface.is_up() {
        let text = "down: AF_PACKET would wait for it, AF_XDP cannot".to_owned();
        finding(text).at(Level::Warn, format!("ip link set {} up", interface.name))
    } else if !interface.is_running() {
        finding("up, but no carrier".to_owned())
            .at(Level::Warn, "look at the cable and at the other end")
    } else {
        finding("up".to_owned())
    }
}

fn host(facts: &Facts) -> Finding {
    let finding = |text| Finding::ok("host", text);
    let link_local = facts.interface.link_local();
    match facts.interface.needed(&[]) {
        None if !link_local.is_empty() => {
            let addresses: Vec<String> = link_local.iter().map(ToString::to_string).collect();
            let text = format!("does not use this interface: only {}", addresses.join(", "));
            finding(text).at(
                Level::Note,
                "AF_XDP cuts it off from neighbours that use this link-local address; \
                 --capture packet does not",
            )
        }
        None => finding("does not use this interface: no address, no route".to_owned()),
        Some(why) => finding(format!("uses this interface itself: {why}")).at(
            Level::Note,
            "AF_PACKET copies packets and leaves them to the host; --capture afxdp \
             --take-interface takes them away from it",
        ),
    }
}

fn program(facts: &Facts, method: &Method) -> Option<Finding> {
    let attached = facts.interface.xdp?;
    let text = format!(
        "program {} in {} mode: no other capture sees packets that it takes",
        attached.program, attached.mode
    );
    let remedy = format!(
        "`bpftool net` says who loaded it; ip link set {} xdp off, if no program uses it",
        facts.interface.name
    );
    let finding = Finding::ok("XDP", text);
    Some(match method {
        Method::None { .. } => finding.at(Level::Fail, &remedy),
        Method::Xdp | Method::Packet { .. } => finding.at(Level::Warn, &remedy),
    })
}

fn driver(facts: &Facts) -> Finding {
    let name = facts.interface.driver.as_deref().unwrap_or("none");
    let finding = |text: String| Finding::ok("driver", text);
    match facts.xdp {
        None => finding(format!("{name}: XDP support is known only at start")),
        Some(features) if features.zero_copy => finding(format!("{name}: XDP, without copying")),
        Some(features) if features.redirects => finding(format!("{name}: XDP, with copying")),
        Some(_) => {
            let text = format!("{name}: no XDP, so generic XDP of the kernel is used");
            finding(text).at(Level::Note, "a card whose driver does XDP loses less at high rates")
        }
    }
}

fn queues(facts: &Facts) -> Finding {
    let now = facts.interface.rx_queues;
    let most = facts.queues.map_or(now, |queues| queues.max.max(now));
    let of = if most > now { format!(" of {most}") } else { String::new() };
    let plural = if most == 1 { "queue" } else { "queues" };
    Finding::ok("queues", format!("{now}{of} receive {plural} in use, all are read"))
}

fn ring(facts: &Facts) -> Option<Finding> {
    let ring = facts.rx_ring?;
    let (now, most) = (grouped(ring.current.into()), grouped(ring.max.into()));
    if ring.current >= ring.max || ring.current >= RING_GOOD {
        return Some(Finding::ok("card's ring", format!("{now} frames")));
    }
    let remedy = format!("ethtool -G {} rx {}", facts.interface.name, ring.max);
    let text = format!("{now} frames of {most}: bursts may be lost");
    Some(Finding::ok("card's ring", text).at(Level::Warn, &remedy))
}

fn lro(facts: &Facts, method: &Method) -> Option<Finding> {
    offload(facts, method, HarmfulOffload::Lro, facts.offloads?.lro, "on")
}

fn gro(facts: &Facts, method: &Method) -> Option<Finding> {
    let harmless = match facts.place(method) {
        CapturePlace::Driver | CapturePlace::Generic => "on: XDP takes frames before it",
        CapturePlace::Stack => "on: super-packets are split again",
    };
    offload(facts, method, HarmfulOffload::Gro, facts.offloads?.gro, harmless)
}

fn rxvlan(facts: &Facts, method: &Method) -> Option<Finding> {
    let harmless = "on: tags are put back";
    offload(facts, method, HarmfulOffload::Rxvlan, facts.offloads?.rxvlan, harmless)
}

/// The finding on an offload with this capture method.
fn offload(
    facts: &Facts,
    method: &Method,
    which: HarmfulOffload,
    is_on: bool,
    harmless: &str,
) -> Option<Finding> {
    let finding = |text: String| Finding::ok(which.name(), text);
    Some(if harmful_offloads(facts.offloads?, facts.place(method)).contains(&which) {
        finding(format!("on: {}", which.problem()))
            .at(Level::Warn, which.remedy(&facts.interface.name))
    } else if is_on {
        finding(harmless.to_owned())
    } else {
        finding("off".to_owned())
    })
}

fn mtu(facts: &Facts) -> Finding {
    let mtu = facts.interface.mtu;
    let text = format!("{} octets: the card may drop longer packets", grouped(mtu.into()));
    let finding = |text| Finding::ok("MTU", text);
    if mtu <= ONE_BUFFER_MTU_MAX || facts.interface.needed(&[]).is_some() {
        return finding(text);
    }
    let what = format!("{} octets: frames take several buffers", grouped(mtu.into()));
    let remedy = format!("ip link set {} mtu {ONE_BUFFER_MTU_MAX}", facts.interface.name);
    match facts.xdp {
        _ if facts.system.kernel < KERNEL_MIN_FRAGS => {
            finding(format!("{what}, which AF_XDP supports from Linux {KERNEL_MIN_FRAGS} on"))
                .at(Level::Warn, &remedy)
        }
        Some(features) if features.redirects && !features.segments => {
            finding(format!("{what}, which this driver's XDP does not support"))
                .at(Level::Warn, &remedy)
        }
        Some(_) | None => finding(text),
    }
}

/// The most frequent tunnel among the packets that came in.
fn tunnels(facts: &Facts) -> Option<Finding> {
    let Traffic { packets, tunnels } = facts.traffic?;
    let all = TunnelKind::ALL.into_iter().zip(tunnels);
    let (kind, most) = all.max_by_key(|(_, packets)| *packets)?;
    let percent = share(most, packets);
    if percent < TUNNELS_PERCENT {
        return None;
    }
    let (title, packets) = (kind.title(), grouped(packets));
    let mut text = format!("{percent} % of {packets} packets are {title}");
    if facts.interface.rx_queues > 1 && !kind.is_spread() {
        text.push_str(": those between two ends come in by one queue");
    }
    let remedy = format!("{} meters what is inside", remedy(kind));
    Some(Finding::ok("tunnels", text).at(Level::Note, remedy))
}

fn capture(facts: &Facts, method: &Method) -> Finding {
    let finding = |text| Finding::ok("capture", text);
    match method {
        Method::Xdp => finding(match facts.xdp.map(|features| features.redirects) {
            Some(true) => "by AF_XDP in driver mode".to_owned(),
            Some(false) => "by AF_XDP in generic mode".to_owned(),
            None => "by AF_XDP, in driver mode if the driver supports it".to_owned(),
        }),
        Method::Packet { because } => finding(format!("by AF_PACKET: {because}")),
        Method::None { because } => {
            Finding { level: Level::Fail, ..finding(format!("would not work: {because}")) }
        }
    }
}

/// Of packets, the share of tunnels that is worth a finding.
const TUNNELS_PERCENT: u64 = 5;

/// Frames of a card's ring that are enough for the bursts of a fast link.
const RING_GOOD: u32 = 2048;

const LESS_MEMORY: &str = "free memory or raise the limit, or use less: --max-flows, --ring, \
                           --packet-ring";

const GRANT: &str = "AmbientCapabilities=CAP_NET_RAW CAP_NET_ADMIN CAP_BPF in the service, \
                     setcap cap_net_raw,cap_net_admin,cap_bpf,cap_ipc_lock+ep FILE, or root";
