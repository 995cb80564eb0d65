//! The table of keys: what each is called, means, may be, and where it goes.

use std::time::Duration;

use highwater_core::units::{Bytes, Permille};

use super::key::{Key, Kind};
use super::receiver::{INTERVAL, REPEAT, TIMEOUT, WAIT};
use super::{hours, minutes};

/// Below a second the recorder itself would be load; a spike between two readings ten minutes
/// apart leaves no trace.
const EVERY: (Duration, Duration) = (Duration::from_secs(1), minutes(10));
/// A tenth of a second is ten reads of every file of a cgroup a second; slower than a whole
/// reading at its fastest is no close-up.
const CLOSE_UP_EVERY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));
/// Below 1 % a limit is reached between two readings; above 50 % most cgroups would be near.
const CLOSE_UP_WITHIN: (Permille, Permille) = (Permille::new(10), Permille::new(500));
/// Zero looks at the distance alone; an hour is already no emergency.
const CLOSE_UP_HORIZON: (Duration, Duration) = (Duration::ZERO, hours(1));
/// As for whole readings; descriptors that leak for an hour unseen are too many.
const SLOW_EVERY: (Duration, Duration) = (Duration::from_secs(1), hours(1));
/// An hour is the least that explains a death; four hundred days compare a year with the last.
const KEEP: (Duration, Duration) = (hours(1), hours(400 * 24));
/// Zero keeps every process; above 1 TiB is a slip of the unit.
const PROCESS_MIN_RSS: (Bytes, Bytes) = (Bytes::ZERO, Bytes::new(1 << 40));
/// −1000 is "never": a recorder that leaks must still be killed before the machine hangs.
const OOM_SCORE_ADJ: (i32, i32) = (-999, 1000);
/// Minutes may go back ten years; a longer past is no longer this machine's.
const KEEP_LONG: (Duration, Duration) = (hours(1), hours(3_660 * 24));
/// Sixteen MiB hold an hour of a small machine; above 1 TiB is a slip of the unit.
const BUDGET: (Bytes, Bytes) = (Bytes::from_mib(16), Bytes::new(1 << 40));
/// Zero leaves nothing free on purpose.
const FREE_FLOOR: (Bytes, Bytes) = (Bytes::ZERO, Bytes::new(1 << 40));
/// Below 64 KiB every program grows.
const MIN_GROWTH: (Bytes, Bytes) = (Bytes::from_kib(64), Bytes::new(1 << 40));
/// Younger than a minute is not old; older than a year is a machine that nobody updates.
const MIN_AGE: (Duration, Duration) = (minutes(1), hours(366 * 24));
/// As many as a tick has room for, about.
const PROCESSES: (u32, u32) = (0, 50_000);
/// At a thousand new series a minute the store holds little else.
const NEW_PROCESSES: (u32, u32) = (1, 1_000);
/// What the survey reads changes slowly, and costs more than a reading.
const SURVEY_EVERY: (Duration, Duration) = (Duration::from_secs(10), hours(1));
/// Zero tells every file.
const LOG_FILE_LEAST: (Bytes, Bytes) = (Bytes::ZERO, Bytes::new(1 << 40));
/// Zero reads no mappings; a tenth of a core is no longer a recorder.
const MAPPINGS_AN_HOUR: (Duration, Duration) = (Duration::ZERO, minutes(6));
/// What grows for days is not found sooner by looking more often than every second; beyond six hours
/// what fills a machine in half a day is found too late.
const GROWTH_EVERY: (Duration, Duration) = (Duration::from_secs(1), hours(6));
/// What is read every five seconds changes no sooner; a rule that is looked at less than once an hour
/// warns too late.
const RULES_EVERY: (Duration, Duration) = (Duration::from_secs(1), hours(1));
/// A tenth of a per cent is what an idle machine takes; 100 % of a core never slows down.
const CPU_BUDGET: (Permille, Permille) = (Permille::new(1), Permille::new(1000));
/// Below 16 MiB there would always be too much.
const MEMORY_BUDGET: (Bytes, Bytes) = (Bytes::from_mib(16), Bytes::from_mib(16 * 1024));

/// Every key, section by section.
pub const KEYS: &[Key] = &[
    Key {
        path: "sample.every",
        default: "\"5s\"",
        doc: "How often the whole machine is read: memory, cgroups, processes.",
        kind: Kind::Span(EVERY, |config| &mut config.sample.every),
    },
    Key {
        path: "sample.close_up_every",
        default: "\"250ms\"",
        doc: "How often a cgroup that is near its limit is read, and its processes, so that the \
              last seconds before a death are on record.",
        kind: Kind::Span(CLOSE_UP_EVERY, |config| &mut config.sample.close_up_every),
    },
    Key {
        path: "sample.close_up_within",
        default: "\"10%\"",
        doc: "A cgroup is near its limit when less than this share of the limit is left.",
        kind: Kind::Share(CLOSE_UP_WITHIN, |config| &mut config.sample.close_up_within),
    },
    Key {
        path: "sample.close_up_horizon",
        default: "\"1min\"",
        doc: "A cgroup is also near its limit when it would reach it this soon by the growth of \
              the last readings; \"0s\" looks at the share alone.",
        kind: Kind::Span(CLOSE_UP_HORIZON, |config| &mut config.sample.close_up_horizon),
    },
    Key {
        path: "sample.slow_every",
        default: "\"30s\"",
        doc: "How often that is read which costs more: open files, swap, peaks, the kernel's \
              scores. Never more often than sample.every.",
        kind: Kind::Span(SLOW_EVERY, |config| &mut config.sample.slow_every),
    },
    Key {
        path: "store.keep",
        default: "\"7d\"",
        doc: "How long every reading is kept on disk. Deaths stay for as long as they take less than a \
              quarter of the budget.",
        kind: Kind::Span(KEEP, |config| &mut config.store.keep),
    },
    Key {
        path: "store.keep_minutes",
        default: "\"30d\"",
        doc: "How long the least, most, last, sum and count of every minute are kept.",
        kind: Kind::Span(KEEP_LONG, |config| &mut config.store.keep_minutes),
    },
    Key {
        path: "store.keep_ten_minutes",
        default: "\"400d\"",
        doc: "How long those of every ten minutes are kept; single processes are not among them.",
        kind: Kind::Span(KEEP_LONG, |config| &mut config.store.keep_ten_minutes),
    },
    Key {
        path: "store.budget",
        default: "\"2GiB\"",
        doc: "The most that the database and its log take on disk, whatever is to be kept: the \
              oldest goes first.",
        kind: Kind::Size(BUDGET, |config| &mut config.store.budget),
    },
    Key {
        path: "store.free_floor",
        default: "\"512MiB\"",
        doc: "How much of the file system the recorder leaves free: below it the oldest goes \
              first. Never more than a tenth of the file system.",
        kind: Kind::Size(FREE_FLOOR, |config| &mut config.store.free_floor),
    },
    Key {
        path: "store.process_min_rss",
        default: "\"16MiB\"",
        doc: "A process with this much memory in RAM and swap is kept on disk with series of its \
              own; the others are in the sum of their owner. \"0\" keeps every process, and none \
              of the bounds below count.",
        kind: Kind::Size(PROCESS_MIN_RSS, |config| &mut config.store.process_min_rss),
    },
    Key {
        path: "store.process_min_growth",
        default: "\"4MiB\"",
        doc: "A smaller process is kept too when it grew by this much since its first minute.",
        kind: Kind::Size(MIN_GROWTH, |config| &mut config.store.process_min_growth),
    },
    Key {
        path: "store.process_min_age",
        default: "\"1h\"",
        doc: "And when it is this old, as far as store.old_processes allows.",
        kind: Kind::Span(MIN_AGE, |config| &mut config.store.process_min_age),
    },
    Key {
        path: "store.old_processes",
        default: "100",
        doc: "How many processes are kept for their age alone, the largest first.",
        kind: Kind::Count(PROCESSES, |config| &mut config.store.old_processes),
    },
    Key {
        path: "store.new_processes",
        default: "20",
        doc: "How many new processes a minute are kept in the long run, the largest first; ten \
              minutes' worth may come at once. One of eight times store.process_min_rss always is.",
        kind: Kind::Count(NEW_PROCESSES, |config| &mut config.store.new_processes),
    },
    Key {
        path: "store.processes",
        default: "2000",
        doc: "How many processes are kept at a time, those that are always kept aside.",
        kind: Kind::Count(PROCESSES, |config| &mut config.store.processes),
    },
    Key {
        path: "survey.enabled",
        default: "true",
        doc: "Whether what changes slowly is read too: slabs, file systems, large logs, open files \
              by kind, mappings of the processes that matter, Docker's disk usage.",
        kind: Kind::Switch(|config| &mut config.survey.enabled),
    },
    Key {
        path: "survey.every",
        default: "\"1min\"",
        doc: "How often that is; the kernel's own counts twice as often, Docker every tenth time.",
        kind: Kind::Span(SURVEY_EVERY, |config| &mut config.survey.every),
    },
    Key {
        path: "survey.log_folders",
        default: "[\"/var/log\"]",
        doc: "Where large log files are looked for, with all that is below.",
        kind: Kind::Folders(|config| &mut config.survey.log_folders),
    },
    Key {
        path: "survey.log_file_least",
        default: "\"100MB\"",
        doc: "From which size on a log file is told.",
        kind: Kind::Size(LOG_FILE_LEAST, |config| &mut config.survey.log_file_least),
    },
    Key {
        path: "survey.mappings_an_hour",
        default: "\"270ms\"",
        doc: "How much processor time in an hour goes into reading the mappings of processes \
              (smaps_rollup), which takes about 10 µs per MB in RAM; \"0s\" reads none.",
        kind: Kind::Span(MAPPINGS_AN_HOUR, |config| &mut config.survey.mappings_an_hour),
    },
    Key {
        path: "survey.docker",
        default: "true",
        doc: "Whether Docker is asked for its disk usage, where its socket is there.",
        kind: Kind::Switch(|config| &mut config.survey.docker),
    },
    Key {
        path: "growth.enabled",
        default: "true",
        doc: "Whether what is on record is judged for growth while the agent runs, in a process of \
              its own: what is found is recorded, shown by the page and told by checkup.",
        kind: Kind::Switch(|config| &mut config.growth.enabled),
    },
    Key {
        path: "growth.every",
        default: "\"10min\"",
        doc: "How often that is.",
        kind: Kind::Span(GROWTH_EVERY, |config| &mut config.growth.every),
    },
    Key {
        path: "growth.cpu_budget",
        default: "\"0.1%\"",
        doc: "How much of one processor it may take; where a look takes longer, the next one is later.",
        kind: Kind::Share(CPU_BUDGET, |config| &mut config.growth.cpu_budget),
    },
    Key {
        path: "web.enabled",
        default: "true",
        doc: "Whether /metrics, /healthz and the recording (/api/v1) are served.",
        kind: Kind::Switch(|config| &mut config.web.enabled),
    },
    Key {
        path: "web.listen",
        default: "\"127.0.0.1:9477\"",
        doc: "Where they are served. An address other than the loopback needs TLS and credentials: \
              the keys below.",
        kind: Kind::Address(|config| &mut config.web.listen),
    },
    Key {
        path: "web.per_process",
        default: "false",
        doc: "Whether /metrics shows every process and not only sums by owner: many series, and \
              new ones with every restart.",
        kind: Kind::Switch(|config| &mut config.web.per_process),
    },
    Key {
        path: "web.tls_certificate_file",
        default: "\"\"",
        doc: "The certificate for TLS, and after it whoever vouches for it, as PEM; \"\" is no TLS. \
              It is read again when it changes.",
        kind: Kind::Text("a path", |config| &mut config.web.tls_certificate_file),
    },
    Key {
        path: "web.tls_key_file",
        default: "\"\"",
        doc: "Its private key, as PEM without a password.",
        kind: Kind::Text("a path", |config| &mut config.web.tls_key_file),
    },
    Key {
        path: "web.tokens",
        default: "[]",
        doc: "Tokens that let in (Authorization: Bearer), each as its SHA-256: highwater web-secret \
              makes them.",
        kind: Kind::Hashes("hashes, as in [\"sha256:…\"]", |config| &mut config.web.tokens),
    },
    Key {
        path: "web.users",
        default: "[]",
        doc: "Users that are let in (basic authentication), each with the bcrypt hash of a password: \
              highwater web-secret --user NAME makes them.",
        kind: Kind::Hashes("names with hashes, as in [\"ann:$2y$10$…\"]", |config| {
            &mut config.web.users
        }),
    },
    Key {
        path: "web.hosts",
        default: "[]",
        doc: "Names by which the server is asked, other than localhost and the loopback's addresses, \
              such as that of a proxy before it; a browser that comes by another name is refused. At \
              an address that is not the loopback, none is any.",
        kind: Kind::Texts("names, as in [\"mon.example\"]", |config| &mut config.web.hosts),
    },
    Key {
        path: "web.allow_plain_http",
        default: "false",
        doc: "Whether an address other than the loopback may do without TLS: others can read along.",
        kind: Kind::Switch(|config| &mut config.web.allow_plain_http),
    },
    Key {
        path: "web.allow_anyone",
        default: "false",
        doc: "Whether an address other than the loopback may do without tokens and users: it shows \
              this machine's units and processes to the network.",
        kind: Kind::Switch(|config| &mut config.web.allow_anyone),
    },
    Key {
        path: "agent.lock_memory",
        default: "true",
        doc: "Whether the agent keeps its own memory from being swapped out, where it is \
              permitted, so that it still records when the machine thrashes.",
        kind: Kind::Switch(|config| &mut config.agent.lock_memory),
    },
    Key {
        path: "agent.oom_score_adj",
        default: "-900",
        doc: "How willingly the kernel kills the agent when memory runs out, where it may be set: \
              the lower, the later.",
        kind: Kind::Number(OOM_SCORE_ADJ, |config| &mut config.agent.oom_score_adj),
    },
    Key {
        path: "agent.cpu_budget",
        default: "\"1%\"",
        doc: "How much of one processor the agent may use over a minute. Beyond it the survey \
              becomes rarer, then close-ups, then slow readings, until it fits again.",
        kind: Kind::Share(CPU_BUDGET, |config| &mut config.agent.cpu_budget),
    },
    Key {
        path: "agent.memory_budget",
        default: "\"64MiB\"",
        doc: "How much memory the agent may have. Beyond it readings that wait for a store that \
              fails are thinned out, and fewer processes get series of their own.",
        kind: Kind::Size(MEMORY_BUDGET, |config| &mut config.agent.memory_budget),
    },
    Key {
        path: "kmsg.enabled",
        default: "true",
        doc: "Whether the kernel's messages are read. Without them no death is recorded.",
        kind: Kind::Switch(|config| &mut config.kmsg.enabled),
    },
    Key {
        path: "rules.enabled",
        default: "true",
        doc: "Whether rules are evaluated: alerts and recording rules in the words of Prometheus. Nobody \
              is told of an alert unless a receiver is set.",
        kind: Kind::Switch(|config| &mut config.rules.enabled),
    },
    Key {
        path: "rules.shipped",
        default: "true",
        doc: "Whether those are that come with highwater.",
        kind: Kind::Switch(|config| &mut config.rules.shipped),
    },
    Key {
        path: "rules.files",
        default: "[]",
        doc: "Files of rules. * in the last part of a path stands for anything. SIGHUP reads them again; \
              as long as one of them is wrong, the rules before stay.",
        kind: Kind::Texts("paths, as in [\"/etc/highwater/rules/*.yml\"]", |config| {
            &mut config.rules.files
        }),
    },
    Key {
        path: "rules.every",
        default: "\"15s\"",
        doc: "How often a group of rules is evaluated that does not say so itself.",
        kind: Kind::Span(RULES_EVERY, |config| &mut config.rules.every),
    },
    Key {
        path: "rules.labels",
        default: "[]",
        doc: "Labels of all alerts that are sent, beside instance, which is this machine's name unless \
              it is set here.",
        kind: Kind::Texts("labels, as in [\"cluster=east\"]", |config| &mut config.rules.labels),
    },
    Key {
        path: "rules.external_url",
        default: "\"http://localhost:9477\"",
        doc: "Where people reach this recorder's page: links in alerts begin with it.",
        kind: Kind::Text("an address", |config| &mut config.rules.external_url),
    },
    Key {
        path: "notify.group_by",
        default: "[\"alertname\"]",
        doc: "Alerts that agree in these labels are told together; [] tells all together. Who is told stands \
              in tables of its own, as [[notify.email]]: see the manual, \"Being told\".",
        kind: Kind::Texts("labels, as in [\"alertname\", \"owner\"]", |config| {
            &mut config.notify.group_by
        }),
    },
    Key {
        path: "notify.group_wait",
        default: "\"30s\"",
        doc: "How long the first alert of a group waits for others, which are told with it.",
        kind: Kind::Span(WAIT, |config| &mut config.notify.group_wait),
    },
    Key {
        path: "notify.group_interval",
        default: "\"5min\"",
        doc: "How often at most the news of a group is told: alerts that joined or ended.",
        kind: Kind::Span(INTERVAL, |config| &mut config.notify.group_interval),
    },
    Key {
        path: "notify.repeat_interval",
        default: "\"4h\"",
        doc: "How often what still fires is told again.",
        kind: Kind::Span(REPEAT, |config| &mut config.notify.repeat_interval),
    },
    Key {
        path: "notify.timeout",
        default: "\"10s\"",
        doc: "How long one try to tell somebody may take. A slow one delays nobody else.",
        kind: Kind::Span(TIMEOUT, |config| &mut config.notify.timeout),
    },
    Key {
        path: "witness.signals",
        default: "true",
        doc: "Whether the kernel tells who sends fatal signals to whom, through a tracefs instance \
              of the agent's own. Without it a kill -9 has no sender.",
        kind: Kind::Switch(|config| &mut config.witness.signals),
    },
    Key {
        path: "witness.processes",
        default: "true",
        doc: "Whether the kernel tells of every exec and exit (proc connector). Without it a \
              process that lives shorter than sample.every is not seen, nor any exit code.",
        kind: Kind::Switch(|config| &mut config.witness.processes),
    },
    Key {
        path: "witness.cgroups",
        default: "true",
        doc: "Whether memory cgroups are watched for running out: their counters of kills, and \
              those that hang because their OOM killer is switched off.",
        kind: Kind::Switch(|config| &mut config.witness.cgroups),
    },
    Key {
        path: "witness.journal",
        default: "true",
        doc: "Whether systemd's journal is followed for starts and ends of units (with journalctl).",
        kind: Kind::Switch(|config| &mut config.witness.journal),
    },
    Key {
        path: "witness.systemd",
        default: "true",
        doc: "Whether systemd is asked over D-Bus how its units and those of its users end.",
        kind: Kind::Switch(|config| &mut config.witness.systemd),
    },
    Key {
        path: "witness.docker_socket",
        default: "\"/var/run/docker.sock\"",
        doc: "Where Docker is asked for the names and the ends of its containers, and for its use \
              of the disk; \"\" asks nobody.",
        kind: Kind::Text("a path", |config| &mut config.witness.docker_socket),
    },
    Key {
        path: "witness.podman_socket",
        default: "\"/run/podman/podman.sock\"",
        doc: "The same for Podman.",
        kind: Kind::Text("a path", |config| &mut config.witness.podman_socket),
    },
    Key {
        path: "witness.kubelet",
        default: "\"\"",
        doc: "Where Kubernetes is asked for the names and the ends of the containers of this node: \
              the kubelet or the API server; \"\" asks nobody.",
        kind: Kind::Text("an address, as in \"https://127.0.0.1:10250\"", |config| {
            &mut config.witness.kubelet
        }),
    },
    Key {
        path: "witness.kubelet_token_file",
        default: "\"/var/run/secrets/kubernetes.io/serviceaccount/token\"",
        doc: "The file with the token that is shown there, if it is there.",
        kind: Kind::Text("a path", |config| &mut config.witness.kubelet_token_file),
    },
    Key {
        path: "witness.kubelet_ca_file",
        default: "\"/var/run/secrets/kubernetes.io/serviceaccount/ca.crt\"",
        doc: "The file with the certificate authority by which it is known, if it is there.",
        kind: Kind::Text("a path", |config| &mut config.witness.kubelet_ca_file),
    },
    Key {
        path: "witness.kubelet_insecure",
        default: "false",
        doc: "Whether a kubelet is believed whose certificate nobody vouches for: most kubelets \
              sign their own.",
        kind: Kind::Switch(|config| &mut config.witness.kubelet_insecure),
    },
    Key {
        path: "witness.audit_log",
        default: "\"/var/log/audit/audit.log\"",
        doc: "The log of auditd, which is read for ends by signals; \"\" reads none.",
        kind: Kind::Text("a path", |config| &mut config.witness.audit_log),
    },
];
