/* Much of everything at once, in a directory where a supervisor does it: hostile KIND DIR ROUNDS VICTIM.
 * Prints "fine" where each call came to what it should; VICTIM is attacked besides. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *dir, *victim;
static long rounds;
static volatile int wrong;

#define CHECK(what) do { if (!(what)) { \
    if (!wrong++) printf("%d: %s: %s\n", __LINE__, #what, strerror(errno)); } } while (0)

/* Makes, renames, links, shortens and removes a file of its own: each has to work once. */
static void life(long id, long round) {
    char a[300], b[300], c[300];
    snprintf(a, sizeof a, "%s/a%ld-%ld", dir, id, round);
    snprintf(b, sizeof b, "%s/b%ld-%ld", dir, id, round);
    snprintf(c, sizeof c, "%s/c%ld-%ld", dir, id, round);
    int fd = open(a, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    CHECK(fd >= 0);
    CHECK(write(fd, "four", 4) == 4);
    CHECK(ftruncate(fd, 2) == 0);
    CHECK(close(fd) == 0);
    CHECK(rename(a, b) == 0);
    CHECK(link(b, c) == 0);
    CHECK(truncate(c, 1) == 0);
    CHECK(unlink(b) == 0);
    CHECK(unlink(c) == 0);
    CHECK(unlink(c) < 0 && errno == ENOENT);
    CHECK(unlink(victim) < 0 || !strchr(victim, '/'));
}

static void *lives(void *id) {
    for (long i = 0; i < 5; i++) life((long)id, i);
    return NULL;
}

static void threads(void) {
    pthread_t all[1000];
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 65536);
    for (long done = 0; done < rounds;) {
        long now = rounds - done > 1000 ? 1000 : rounds - done;
        for (long i = 0; i < now; i++)
            if (pthread_create(&all[i], &small, lives, (void *)(done + i))) { CHECK(!"thread"); exit(3); }
        for (long i = 0; i < now; i++) pthread_join(all[i], NULL);
        done += now;
    }
}

static volatile long signalled;
static void count(int number) { signalled++; }

/* Signals whose handlers want calls to go on: none is done twice, none is lost. */
static void signals(void) {
    struct sigaction act = { .sa_handler = count, .sa_flags = SA_RESTART };
    sigaction(SIGALRM, &act, NULL);
    struct itimerval timer = { { 0, 150 }, { 0, 150 } };
    setitimer(ITIMER_REAL, &timer, NULL);
    for (long i = 0; i < rounds; i++) life(getpid(), i);
    memset(&timer, 0, sizeof timer);
    setitimer(ITIMER_REAL, &timer, NULL);
    CHECK(signalled > 10);
}

/* Processes that are ended, stopped and go on in the middle of calls. */
static void killed(void) {
    for (long i = 0; i < rounds; i++) {
        pid_t pid = fork();
        if (pid == 0) for (long n = 0;; n++) life(getpid(), n);
        usleep(random() % 2000);
        if (i % 3 == 0) { kill(pid, SIGSTOP); usleep(200); kill(pid, SIGCONT); }
        kill(pid, SIGKILL);
        CHECK(waitpid(pid, NULL, 0) == pid);
    }
    char text[400];
    snprintf(text, sizeof text, "rm -f %s/[abc][0-9]*", dir);
    CHECK(system(text) == 0);
    life(getpid(), 0);
}

static void storm(void) {
    char name[300];
    snprintf(name, sizeof name, "%s/none/none", dir);
    for (long i = 0; i < rounds; i++) {
        CHECK(unlink(name) < 0 && errno == ENOENT);
        int fd = open(victim, O_RDWR | O_TRUNC);
        CHECK(fd < 0 && errno == EACCES);
    }
}

/* Whoever holds a lease keeps those waiting who open the file, and nobody else. */
static void leases(void) {
    char name[300];
    signal(SIGIO, SIG_IGN);
    for (long i = 0; i < rounds; i++) {
        snprintf(name, sizeof name, "%s/leased%ld", dir, i);
        CHECK(close(open(name, O_WRONLY | O_CREAT, 0600)) == 0);
        int held = open(name, O_RDONLY);
        CHECK(held >= 0);
        if (fcntl(held, F_SETLEASE, F_RDLCK)) { CHECK(errno == EAGAIN || errno == EINVAL); continue; }
        int nonblocking = open(name, O_WRONLY | O_NONBLOCK);
        CHECK(nonblocking < 0 && errno == EAGAIN);
        pid_t pid = fork();
        if (pid == 0) {
            close(held);
            int fd = open(name, O_WRONLY | O_APPEND);
            _exit(fd < 0 || fcntl(fd, F_GETFL) & O_NONBLOCK || write(fd, "x", 1) != 1);
        }
        usleep(20000);
        /* The other waits; this goes on. */
        life(getpid(), i);
        CHECK(waitpid(pid, NULL, WNOHANG) == 0);
        CHECK(fcntl(held, F_SETLEASE, F_UNLCK) == 0);
        int status = 1;
        CHECK(waitpid(pid, &status, 0) == pid && status == 0);
        close(held);
        CHECK(unlink(name) == 0);
    }
}

/* Many wait for pipes that nobody opens; others go on, and they can be ended. */
static void pipes(void) {
    char name[300];
    snprintf(name, sizeof name, "%s/pipe", dir);
    CHECK(mkfifo(name, 0600) == 0);
    pid_t *all = calloc(rounds, sizeof *all);
    for (long i = 0; i < rounds; i++) {
        all[i] = fork();
        if (all[i] == 0) { open(name, O_WRONLY); _exit(0); }
    }
    usleep(100000);
    life(getpid(), 0);
    for (long i = 0; i < rounds; i++) { kill(all[i], SIGKILL); CHECK(waitpid(all[i], NULL, 0) == all[i]); }
    usleep(100000);
    /* One after all that is served, and a handler's signal gets through to one that waits. */
    struct sigaction act = { .sa_handler = count };
    sigaction(SIGALRM, &act, NULL);
    struct itimerval timer = { { 0, 0 }, { 0, 50000 } };
    setitimer(ITIMER_REAL, &timer, NULL);
    CHECK(open(name, O_WRONLY) < 0 && errno == EINTR);
    act.sa_flags = SA_RESTART;
    sigaction(SIGALRM, &act, NULL);
    setitimer(ITIMER_REAL, &timer, NULL);
    pid_t reader = fork();
    if (reader == 0) { usleep(200000); _exit(open(name, O_RDONLY) < 0); }
    int fd = open(name, O_WRONLY);
    CHECK(fd >= 0 && !(fcntl(fd, F_GETFL) & O_NONBLOCK));
    int status = 1;
    CHECK(waitpid(reader, &status, 0) == reader && status == 0);
    CHECK(signalled == 2);
    CHECK(unlink(name) == 0);
}

static void vforked(void) {
    for (long i = 0; i < rounds; i++) {
        pid_t pid = vfork();
        if (pid == 0) { life(getpid(), i); _exit(0); }
        CHECK(waitpid(pid, NULL, 0) == pid);
    }
}

/* What is closed is open nowhere: a program that was just written can be run, and a pipe that this
 * had open has no reader. */
static void handed(void) {
    char program[300], name[300];
    snprintf(program, sizeof program, "%s/program", dir);
    snprintf(name, sizeof name, "%s/handed", dir);
    CHECK(mkfifo(name, 0600) == 0);
    for (long i = 0; i < rounds && !wrong; i++) {
        int fd = open(program, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
        CHECK(write(fd, "no program\n", 11) == 11);
        CHECK(close(fd) == 0);
        /* ETXTBSY comes before the look at what it is. */
        pid_t pid = vfork();
        if (pid == 0) {
            execl(program, program, NULL);
            _exit(errno == ENOEXEC ? 0 : errno);
        }
        int status = 1;
        CHECK(waitpid(pid, &status, 0) == pid && (errno = WEXITSTATUS(status), status == 0));
        fd = open(name, O_RDWR);
        CHECK(fd >= 0 && close(fd) == 0);
        fd = open(name, O_WRONLY | O_NONBLOCK);
        CHECK(fd < 0 && errno == ENXIO);
    }
    CHECK(unlink(name) == 0);
    CHECK(unlink(program) == 0);
}

/* Calls that must fail, until the supervisor has gone and long after. */
static void hammer(void) {
    char new[300];
    int fd = open(victim, O_WRONLY | O_APPEND);
    CHECK(fd >= 0);
    puts("up");
    for (long gone = 0; gone < 20000;) {
        snprintf(new, sizeof new, "%s.new", victim);
        CHECK(unlink(victim) < 0); gone += errno == ENOSYS;
        CHECK(truncate(victim, 0) < 0); gone += errno == ENOSYS;
        CHECK(ftruncate(fd, 0) < 0); gone += errno == ENOSYS;
        CHECK(open(victim, O_RDWR) < 0); gone += errno == ENOSYS;
        CHECK(open(victim, O_WRONLY | O_APPEND | O_TRUNC) < 0); gone += errno == ENOSYS;
        CHECK(rename(victim, new) < 0); gone += errno == ENOSYS;
        CHECK(rename(new, victim) < 0); gone += errno == ENOSYS;
        CHECK(fcntl(fd, F_SETFL, 0) < 0); gone += errno == ENOSYS;
        if (wrong) break;
    }
}

int main(int argc, char **argv) {
    if (argc != 5) return 2;
    dir = argv[2];
    rounds = atol(argv[3]);
    victim = argv[4];
    const char *kind = argv[1];
    setvbuf(stdout, NULL, _IONBF, 0);
    if (!strcmp(kind, "threads")) threads();
    else if (!strcmp(kind, "signals")) signals();
    else if (!strcmp(kind, "killed")) killed();
    else if (!strcmp(kind, "storm")) storm();
    else if (!strcmp(kind, "leases")) leases();
    else if (!strcmp(kind, "pipes")) pipes();
    else if (!strcmp(kind, "vfork")) vforked();
    else if (!strcmp(kind, "handed")) handed();
    else if (!strcmp(kind, "hammer")) hammer();
    else return 2;
    if (!wrong) puts("fine");
    return wrong != 0;
}
