#include "base/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"

/* Newer than the headers this is built with. */
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||     \
	__has_feature(memory_sanitizer)
#define SANITIZED true
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#endif
#ifndef SANITIZED
#define SANITIZED false
#endif

static const char *const mode_names[] = {
	[SANDBOX_OFF] = "off",
	[SANDBOX_ON] = "on",
	[SANDBOX_REQUIRED] = "required",
};

bool sandbox_mode_parse(const char *text, enum sandbox_mode *ret_mode)
{
	for (size_t i = 0; i < ARRAY_LEN(mode_names); i++) {
		if (strcmp(text, mode_names[i]) != 0)
			continue;
		*ret_mode = (enum sandbox_mode)i;
		return true;
	}
	return false;
}

bool sandbox_is_sanitized(void)
{
	return SANITIZED;
}

/* ---- calls ---- */

enum {
	HOST = 1 << SANDBOX_HOST,
	CLOSED = 1 << SANDBOX_CLOSED,
	CLIENT = 1 << SANDBOX_CLIENT,
	INSIDE = CLOSED | CLIENT,
	EVERY = HOST | INSIDE,
};

/* Nothing here and no library of ours ever makes these: whoever does is an
 * intruder, and gets no second try. */
static const char *const never[] = { "ptrace",
				     "process_vm_readv",
				     "process_vm_writev",
				     "mount",
				     "umount",
				     "umount2",
				     "pivot_root",
				     "move_mount",
				     "open_tree",
				     "fsopen",
				     "fsmount",
				     "setns",
				     "bpf",
				     "kexec_load",
				     "kexec_file_load",
				     "init_module",
				     "finit_module",
				     "delete_module",
				     "create_module",
				     "reboot",
				     "swapon",
				     "swapoff",
				     "acct",
				     "iopl",
				     "ioperm",
				     "settimeofday",
				     "clock_settime",
				     "adjtimex",
				     "clock_adjtime",
				     NULL };

/* A program that writd starts may drop its rights by these. */
static const char *const never_inside[] = {
	"setuid",    "setgid",	 "setreuid", "setregid",  "setresuid",
	"setresgid", "setfsuid", "setfsgid", "setgroups", "capset",
	"chroot",    "unshare",	 "mknod",    "mknodat",	  NULL
};

/* Libraries try these and do without: Kerberos keeps tickets in keyrings. */
static const char *const refused[] = {
	"keyctl",	   "add_key",		"request_key",
	"perf_event_open", "userfaultfd",	"io_uring_setup",
	"io_uring_enter",  "io_uring_register", NULL
};

static const char *const refused_host[] = { "unshare", "chroot", NULL };

static const char *const refused_inside[] = {
	"execve",  "execveat",	"fork",	    "vfork",	   "clone",
	"kill",	   "bind",	"listen",   "accept",	   "accept4",
	"symlink", "symlinkat", "link",	    "linkat",	   "chown",
	"fchown",  "lchown",	"fchownat", "personality", NULL
};

static const char *const refused_closed[] = { "socket", "socketpair", "connect",
					      NULL };

static const char *const allowed_inside[] = {
	/* what is open */
	"read", "write", "readv", "writev", "pread64", "pwrite64", "preadv",
	"pwritev", "lseek", "_llseek", "close", "close_range", "dup", "dup2",
	"dup3", "fcntl", "fcntl64", "flock", "fsync", "fdatasync", "ftruncate",
	"ftruncate64", "fallocate", "poll", "ppoll", "select", "pselect6",
	"recvfrom", "recvmsg", "sendto", "sendmsg", "shutdown", "getsockopt",
	"getsockname", "getpeername",
	/* files, as far as Landlock lets */
	"open", "openat", "openat2", "stat", "stat64", "fstat", "fstat64",
	"lstat", "lstat64", "fstatat64", "newfstatat", "statx", "statfs",
	"fstatfs", "access", "faccessat", "faccessat2", "readlink",
	"readlinkat", "getdents", "getdents64", "getcwd", "mkdir", "mkdirat",
	"rename", "renameat", "renameat2", "unlink", "unlinkat", "rmdir",
	"chmod", "fchmod", "fchmodat", "umask", "utimensat", "fadvise64",
	/* memory; mmap and mprotect are below */
	"brk", "munmap", "mremap", "madvise", "mlock", "mlock2", "munlock",
	"mlockall", "munlockall", "mincore",
	/* time and chance */
	"clock_gettime", "clock_gettime64", "clock_getres", "clock_nanosleep",
	"clock_nanosleep_time64", "nanosleep", "gettimeofday", "time", "times",
	"getrandom",
	/* itself */
	"exit", "exit_group", "pause", "alarm", "setitimer", "getitimer",
	"rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigpending",
	"rt_sigsuspend", "rt_sigtimedwait", "sigaltstack", "sigreturn",
	"restart_syscall", "futex", "futex_time64", "set_robust_list",
	"get_robust_list", "set_tid_address", "rseq", "membarrier",
	"sched_yield", "sched_getaffinity", "getcpu", "arch_prctl", "prctl",
	"getpid", "getppid", "gettid", "getpgrp", "getuid", "geteuid", "getgid",
	"getegid", "getresuid", "getresgid", "getgroups", "getrlimit",
	"ugetrlimit", "prlimit64", "getrusage", "uname", "sysinfo", "pipe",
	"pipe2", "eventfd2", NULL
};

static const char *const allowed_client[] = {
	"connect",   "setsockopt", "sendmmsg",	  "recvmmsg",	"epoll_create1",
	"epoll_ctl", "epoll_wait", "epoll_pwait", "socketpair", "mmap",
	"mmap2",     "mprotect",   NULL
};

static const struct call_group {
	unsigned profiles;
	uint32_t action;
	const char *const *names;
} groups[] = {
	{ EVERY, SCMP_ACT_KILL_PROCESS, never },
	{ INSIDE, SCMP_ACT_KILL_PROCESS, never_inside },
	{ EVERY, SCMP_ACT_ERRNO(EPERM), refused },
	{ HOST, SCMP_ACT_ERRNO(EPERM), refused_host },
	{ INSIDE, SCMP_ACT_ERRNO(EPERM), refused_inside },
	{ CLOSED, SCMP_ACT_ERRNO(EPERM), refused_closed },
	{ INSIDE, SCMP_ACT_ALLOW, allowed_inside },
	{ CLIENT, SCMP_ACT_ALLOW, allowed_client },
};

#define NAMESPACE(flag)                                                        \
	{                                                                      \
		0, SCMP_CMP_MASKED_EQ, (flag), (flag)                          \
	}
#define FAMILY(family)                                                         \
	{                                                                      \
		0, SCMP_CMP_EQ, (family), 0                                    \
	}
#define NOT_CODE                                                               \
	{                                                                      \
		2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0                            \
	}

/* Calls that depend on one argument. */
static const struct call_rule {
	unsigned profiles;
	uint32_t action;
	const char *name;
	struct scmp_arg_cmp when;
} rules[] = {
	{ HOST, SCMP_ACT_ERRNO(EPERM), "clone", NAMESPACE(CLONE_NEWUSER) },
	{ HOST, SCMP_ACT_ERRNO(EPERM), "clone", NAMESPACE(CLONE_NEWNS) },
	{ HOST, SCMP_ACT_ERRNO(EPERM), "clone", NAMESPACE(CLONE_NEWNET) },
	{ HOST, SCMP_ACT_ERRNO(EPERM), "clone", NAMESPACE(CLONE_NEWPID) },
	/* All but asking which it is. */
	{ HOST,
	  SCMP_ACT_ERRNO(EPERM),
	  "personality",
	  { 0, SCMP_CMP_NE, 0xffffffff, 0 } },
	{ CLOSED, SCMP_ACT_ALLOW, "mmap", NOT_CODE },
	{ CLOSED, SCMP_ACT_ALLOW, "mmap2", NOT_CODE },
	{ CLOSED, SCMP_ACT_ALLOW, "mprotect", NOT_CODE },
	{ CLIENT, SCMP_ACT_ALLOW, "socket", FAMILY(AF_UNIX) },
	{ CLIENT, SCMP_ACT_ALLOW, "socket", FAMILY(AF_INET) },
	{ CLIENT, SCMP_ACT_ALLOW, "socket", FAMILY(AF_INET6) },
	{ CLIENT, SCMP_ACT_ALLOW, "socket", FAMILY(AF_NETLINK) },
	/* The resolver asks how much has come. */
	{ CLIENT, SCMP_ACT_ALLOW, "ioctl", { 1, SCMP_CMP_EQ, FIONREAD, 0 } },
};

static void filter_free_p(scmp_filter_ctx *filter)
{
	seccomp_release(*filter);
}

/* One call, by its name; one this machine does not know is passed over. */
static int add_call(scmp_filter_ctx filter, uint32_t action, const char *name,
		    const struct scmp_arg_cmp *when)
{
	int number = seccomp_syscall_resolve_name(name);

	if (number == __NR_SCMP_ERROR)
		return 0;
	return seccomp_rule_add_array(filter, action, number, when ? 1 : 0,
				      when);
}

static int add_groups(scmp_filter_ctx filter, unsigned profile)
{
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
		const struct call_group *g = &groups[i];

		if (!(g->profiles & profile))
			continue;
		for (size_t j = 0; r == 0 && g->names[j]; j++)
			r = add_call(filter, g->action, g->names[j], NULL);
	}
	return r;
}

static int add_rules(scmp_filter_ctx filter, unsigned profile)
{
	const struct scmp_arg_cmp self = { 0, SCMP_CMP_EQ,
					   (scmp_datum_t)getpid(), 0 };
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(rules); i++)
		if (rules[i].profiles & profile)
			r = add_call(filter, rules[i].action, rules[i].name,
				     &rules[i].when);
	/* abort() is a signal to oneself. */
	if (r == 0 && (profile & INSIDE))
		r = add_call(filter, SCMP_ACT_ALLOW, "tgkill", &self);
	/* Its flags cannot be looked at; without it clone() is used. */
	if (r == 0 && (profile & HOST))
		r = add_call(filter, SCMP_ACT_ERRNO(ENOSYS), "clone3", NULL);
	return r;
}

/* What is in no list is answered as by a kernel that does not have it, which
 * libraries know how to live with. */
static int fill_filter(scmp_filter_ctx filter, unsigned profile)
{
	int r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);

	if (r == 0)
		r = add_groups(filter, profile);
	if (r == 0)
		r = add_rules(filter, profile);
	return r < 0 ? r : seccomp_load(filter);
}

static int shut_calls(enum sandbox_profile which)
{
	unsigned profile = 1U << which;
	CLEANUP(filter_free_p)
	scmp_filter_ctx filter = seccomp_init(
		profile & HOST ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(ENOSYS));
	int r = filter ? fill_filter(filter, profile) : -ENOMEM;

	if (r == 0)
		return 0;
	errno = -r;
	return error_sys("seccomp");
}

/* ---- files ---- */

enum { ABI_REFER = 2, ABI_TRUNCATE = 3 };

static const uint64_t read_rights =
	LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;

/* Rights of a file; the others are a folder's. */
static const uint64_t file_rights =
	LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE |
	LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE;

/* All that changes something, as far as the kernel's version knows it. */
static uint64_t write_rights(int abi)
{
	uint64_t rights =
		LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |
		LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR |
		LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |
		LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |
		LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM;

	if (abi >= ABI_REFER)
		rights |= LANDLOCK_ACCESS_FS_REFER;
	if (abi >= ABI_TRUNCATE)
		rights |= LANDLOCK_ACCESS_FS_TRUNCATE;
	return rights;
}

/* The kernel's version of Landlock; 0 for none. */
static int landlock_abi(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0,
			   LANDLOCK_CREATE_RULESET_VERSION);

	return abi > 0 ? (int)abi : 0;
}

struct fence {
	int fd;
	uint64_t handled; /* rights that only those named have */
	uint64_t write;
};

static int add_path(const struct fence *fence, const struct sandbox_path *p)
{
	struct landlock_path_beneath_attr rule = { 0 };
	CLEANUP(fd_close_p) int fd = open(p->path, O_PATH | O_CLOEXEC);
	struct stat st;

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == EACCES))
		return 0;
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_sys("'%s'", p->path);
	rule.parent_fd = fd;
	rule.allowed_access = read_rights | (p->write ? fence->write : 0);
	rule.allowed_access &= fence->handled;
	if (!S_ISDIR(st.st_mode))
		rule.allowed_access &= file_rights;
	if (rule.allowed_access == 0)
		return 0;
	if (syscall(SYS_landlock_add_rule, fence->fd,
		    LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
		return error_sys("Landlock for '%s'", p->path);
	return 0;
}

static int shut_files(const struct sandbox *s, int abi)
{
	struct fence fence = { .write = write_rights(abi) };
	struct landlock_ruleset_attr attributes = { 0 };
	CLEANUP(fd_close_p) int fd = -1;

	fence.handled = fence.write;
	if (s->profile != SANDBOX_HOST)
		fence.handled |= read_rights | LANDLOCK_ACCESS_FS_EXECUTE;
	attributes.handled_access_fs = fence.handled;
	fd = (int)syscall(SYS_landlock_create_ruleset, &attributes,
			  sizeof(attributes), 0);
	if (fd < 0)
		return error_sys("Landlock");
	fence.fd = fd;
	for (size_t i = 0; i < s->path_count; i++)
		TRY(add_path(&fence, &s->paths[i]));
	if (syscall(SYS_landlock_restrict_self, fd, 0) < 0)
		return error_sys("Landlock");
	return 0;
}

/* ---- all of it ---- */

/* Notes the first thing that is missing. */
static void miss(struct sandbox_state *state, const char *why)
{
	if (!state->why[0])
		snprintf(state->why, sizeof(state->why), "%s", why);
}

static void limit(int what, rlim_t most)
{
	struct rlimit now;

	if (getrlimit((__rlimit_resource_t)what, &now) < 0 ||
	    now.rlim_cur <= most)
		return;
	now = (struct rlimit){ most, most };
	discard(setrlimit((__rlimit_resource_t)what, &now));
}

static void enter_files(const struct sandbox *s, struct sandbox_state *state)
{
	int abi;

	if (s->any_path)
		return;
	abi = landlock_abi();
	if (abi == 0)
		miss(state, "this kernel has no Landlock");
	else if (shut_files(s, abi) < 0)
		miss(state, error_message());
	else
		state->landlock = abi;
}

static void enter(const struct sandbox *s, struct sandbox_state *state)
{
	limit(RLIMIT_CORE, 0);
	if (s->files)
		limit(RLIMIT_NOFILE, s->files);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
		miss(state, "the kernel grants no_new_privs to nobody");
		return;
	}
	enter_files(s, state);
	if (shut_calls(s->profile) < 0)
		miss(state, error_message());
	else
		state->seccomp = true;
}

int sandbox_enter(const struct sandbox *s, struct sandbox_state *ret_state)
{
	*ret_state = (struct sandbox_state){ .mode = s->mode };
	if (s->mode == SANDBOX_OFF) {
		miss(ret_state, "it is switched off");
		return 0;
	}
	if (s->mode == SANDBOX_ON && sandbox_is_sanitized()) {
		miss(ret_state, "this is a build with sanitizers");
		return 0;
	}
	enter(s, ret_state);
	if (s->mode != SANDBOX_REQUIRED || !ret_state->why[0])
		return 0;
	return error_set(ERR_UNAVAILABLE, "the sandbox is required: %s",
			 ret_state->why);
}

json_t *sandbox_report(const struct sandbox_state *state)
{
	json_t *report = json_object();

	json_set_text(report, "mode", mode_names[state->mode]);
	json_set_flag(report, "seccomp", state->seccomp);
	json_set_int(report, "landlock", state->landlock);
	json_set_text(report, "why", state->why[0] ? state->why : NULL);
	return report;
}
