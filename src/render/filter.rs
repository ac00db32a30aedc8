//! Which system calls a confined process may make.
//!
//! Two filters: the worker needs memory and two pipes, so it is allowed these and nothing else. Another program may do what
//! programs do, but not reach a network, another process, or a mount.

use std::collections::BTreeMap;
use std::io;

use nix::libc;
use seccompiler::{BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule};

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Everything that rendering needs: its pipes, memory, time, and a way to end.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
const WORKER: [libc::c_long; 27] = [
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_close,
    libc::SYS_brk,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    libc::SYS_futex,
    libc::SYS_getrandom,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_getrusage,
    libc::SYS_sigaltstack,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_restart_syscall,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// What no program in the sandbox may do: networks, other processes, mounts, the system itself.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
const FORBIDDEN: [libc::c_long; 47] = [
    libc::SYS_socket,
    libc::SYS_socketpair,
    // It can open sockets without the call of that name.
    libc::SYS_io_uring_setup,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pidfd_send_signal,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_tkill,
    libc::SYS_kcmp,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_open_by_handle_at,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_adjtimex,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_sethostname,
    libc::SYS_syslog,
];

/// Lets this thread do nothing but render: everything else ends the process with SIGSYS.
///
/// # Errors
/// The kernel allows no filters, or there is none for this architecture.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(super) fn allow_rendering() -> io::Result<()> {
    let mut rules: Rules = WORKER.iter().map(|call| (*call, Vec::new())).collect();
    // Of the process itself only: how much time on the processor is left, and its own death by abort.
    rules.insert(libc::SYS_prlimit64, vec![rule(0, SeccompCmpOp::Eq, 0)?]);
    rules.insert(libc::SYS_tgkill, vec![rule(0, SeccompCmpOp::Eq, own_id())?]);
    install(rules, SeccompAction::KillProcess, SeccompAction::Allow)
}

/// Takes from this process, and from what it turns into, what [`FORBIDDEN`] lists; and new processes, unless it `may_fork`.
///
/// # Errors
/// As [`allow_rendering`].
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(super) fn forbid_escapes(may_fork: bool) -> io::Result<()> {
    let forbidden = FORBIDDEN.iter().map(|call| (*call, Vec::new()));
    let mut rules: Rules = forbidden.collect();
    // A process keeps its id when it turns into another program.
    rules.insert(libc::SYS_kill, vec![rule(0, SeccompCmpOp::Ne, own_id())?]);
    rules.insert(libc::SYS_prlimit64, vec![rule(0, SeccompCmpOp::Ne, 0)?]);
    if !may_fork {
        rules.insert(libc::SYS_tgkill, vec![rule(0, SeccompCmpOp::Ne, own_id())?]);
        let thread = u64::try_from(libc::CLONE_THREAD).unwrap_or_default();
        rules.insert(libc::SYS_clone, vec![rule(0, SeccompCmpOp::MaskedEq(thread), 0)?]);
        forbid_plain_forks(&mut rules);
        // Its flags are behind a pointer, which a filter cannot follow; told that there is no such call, libraries use the old one.
        let clone3 = Rules::from([(libc::SYS_clone3, Vec::new())]);
        install(
            with_x32(clone3),
            SeccompAction::Allow,
            SeccompAction::Errno(error_number(libc::ENOSYS)),
        )?;
    }
    install(
        with_x32(rules),
        SeccompAction::Allow,
        SeccompAction::Errno(error_number(libc::EPERM)),
    )
}

#[cfg(target_arch = "x86_64")]
fn forbid_plain_forks(rules: &mut Rules) {
    rules.insert(libc::SYS_fork, Vec::new());
    rules.insert(libc::SYS_vfork, Vec::new());
}

#[cfg(target_arch = "aarch64")]
fn forbid_plain_forks(_: &mut Rules) {}

/// The same calls by the numbers of the x32 interface, which count as x86-64 and would slip past a list of what is forbidden.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn with_x32(mut rules: Rules) -> Rules {
    if cfg!(target_arch = "x86_64") {
        const X32: i64 = 0x4000_0000;
        let twins: Vec<_> = rules.iter().map(|(call, conditions)| (call | X32, conditions.clone())).collect();
        rules.extend(twins);
    }
    rules
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) fn allow_rendering() -> io::Result<()> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) fn forbid_escapes(_: bool) -> io::Result<()> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}

fn own_id() -> u64 {
    u64::from(std::process::id())
}

fn error_number(number: i32) -> u32 {
    u32::try_from(number).unwrap_or_default()
}

fn rule(argument: u8, operator: SeccompCmpOp, value: u64) -> io::Result<SeccompRule> {
    let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value).map_err(io::Error::other)?;
    SeccompRule::new(vec![condition]).map_err(io::Error::other)
}

fn install(rules: Rules, otherwise: SeccompAction, matched: SeccompAction) -> io::Result<()> {
    let architecture = std::env::consts::ARCH.try_into().map_err(io::Error::other)?;
    let filter = SeccompFilter::new(rules, otherwise, matched, architecture).map_err(io::Error::other)?;
    let program: BpfProgram = filter.try_into().map_err(io::Error::other)?;
    seccompiler::apply_filter(&program).map_err(io::Error::other)
}
