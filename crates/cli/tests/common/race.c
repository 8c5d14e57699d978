/* Races against a supervisor: a hostile thread changes what a call is about while it is decided.
 *
 * race KIND VICTIM OWN ROUNDS: VICTIM must stay as it is, OWN is the program's to change. Prints
 * how many calls got through to OWN, so that a race that never happens is seen. With NUMBERED in the
 * environment each file that is made is told from all others, VICTIM is made anew when it was
 * removed, and the second number printed is how many were made. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static char path[4096];
static const char *victim, *own;
static char link_path[4096], other[4096];
static volatile int stop, shared_fd = -1, victim_fd = -1, own_fd = -1;

/* Changes the text in place: not as a whole, so that halves of both are seen, too. */
static void *flip_memory(void *unused) {
    size_t length = strlen(victim) > strlen(own) ? strlen(victim) + 1 : strlen(own) + 1;
    while (!stop) {
        memcpy(path, victim, length);
        for (volatile int i = 0; i < 300; i++) {}
        memcpy(path, own, length);
        for (volatile int i = 0; i < 300; i++) {}
    }
    return unused;
}

static void *flip_link(void *unused) {
    while (!stop) {
        unlink(other);
        symlink(victim, other);
        rename(other, link_path);
        unlink(other);
        symlink(own, other);
        rename(other, link_path);
    }
    return unused;
}

static void *flip_fd(void *unused) {
    while (!stop) {
        dup2(victim_fd, shared_fd);
        dup2(own_fd, shared_fd);
    }
    return unused;
}

static long through, made;
static int numbered;

/* A file that can be told from all others, where there is none. */
static void fill(const char *name) {
    int fd = open(name, O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (fd < 0) return;
    if (numbered) dprintf(fd, "number %ld\n", ++made);
    close(fd);
}

static void fill_both(void) {
    if (!numbered) return;
    fill(victim);
    fill(own);
}
/* As that, and at times there is nothing of that number. */
static void *flip_gone(void *unused) {
    while (!stop) {
        dup2(own_fd, shared_fd);
        close(shared_fd);
        dup2(victim_fd, shared_fd);
        close(shared_fd);
    }
    return unused;
}


static void overwrite(const char *name) {
    int fd = open(name, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return;
    if (pwrite(fd, "X", 1, 0) == 1) through++;
    close(fd);
}

/* What is hidden must not be read: whoever reads it says so. */
static long seen;

static void look(const char *name) {
    char text[4] = "";
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    if (read(fd, text, 3) == 3) {
        if (!strcmp(text, "own")) through++;
        if (!strcmp(text, "old")) seen++;
    }
    close(fd);
}

static void shorten(const char *name) {
    if (truncate(name, 0) == 0) {
        through++;
        int fd = open(own, O_WRONLY | O_CREAT, 0600);
        if (fd >= 0 && write(fd, "own\n", 4) == 4) close(fd);
    }
}

/* By an open that is none to write. */
static void cut(const char *name) {
    int fd = open(name, O_RDONLY | O_TRUNC);
    if (fd < 0) return;
    close(fd);
    through++;
}

static void take(const char *name) {
    if (unlink(name) == 0) {
        through++;
        fill(own);
        fill_both();
    }
}

/* Where what is removed is kept: how many files had the victim's name. Each has to be found. */
static long counted = 1;

static void make_again(const char *name) {
    int fd = open(name, O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (fd < 0) return;
    close(fd);
    if (name == victim) counted++;
}

static void remove_kept(const char *name) {
    if (unlink(name)) return;
    through++;
    make_again(own);
    make_again(victim);
}

static void replace_kept(const char *name) {
    /* Beside the victim, since nothing is renamed across directories with levels. */
    char from[4200];
    struct stat new, now;
    snprintf(from, sizeof from, "%s.new", victim);
    int fd = open(from, O_WRONLY | O_CREAT, 0600);
    if (fd >= 0) close(fd);
    if (stat(from, &new) || rename(from, name)) return;
    through++;
    if (!stat(victim, &now) && now.st_ino == new.st_ino) counted++;
}

static void move(const char *name) {
    char to[4200];
    snprintf(to, sizeof to, "%s.moved", own);
    if (rename(name, to) == 0) {
        through++;
        rename(to, own);
        fill_both();
    }
}

static void replace(const char *name) {
    char from[4200];
    snprintf(from, sizeof from, "%s.new", own);
    fill(from);
    if (rename(from, name) == 0) through++;
}

static void cut_fd(const char *name) {
    (void)name;
    if (ftruncate(shared_fd, 0) == 0) through++;
}

static void clear_append(const char *name) {
    (void)name;
    if (fcntl(shared_fd, F_SETFL, 0) == 0) through++;
    if (!(fcntl(victim_fd, F_GETFL) & O_APPEND)) pwrite(victim_fd, "X", 1, 0);
}

int main(int argc, char **argv) {
    if (argc != 5) return 2;
    const char *kind = argv[1];
    victim = argv[2];
    own = argv[3];
    long rounds = atol(argv[4]);
    void (*act)(const char *) = NULL;
    void *(*flip)(void *) = flip_memory;
    const char *name = path;
    const char *dash = strchr(kind, '-');
    if (!dash) return 2;
    if (!strncmp(kind, "link-", 5)) {
        flip = flip_link;
        name = link_path;
        snprintf(link_path, sizeof link_path, "%s.link", own);
        snprintf(other, sizeof other, "%s.other", own);
    } else if (!strncmp(kind, "fd-", 3) || !strncmp(kind, "gone-", 5)) {
        flip = *kind == 'g' ? flip_gone : flip_fd;
        victim_fd = open(victim, O_WRONLY | O_APPEND);
        own_fd = open(own, O_WRONLY);
        shared_fd = dup(own_fd);
        if (victim_fd < 0 || own_fd < 0) { perror("open"); return 3; }
    }
    dash++;
    if (!strcmp(dash, "look")) act = look;
    if (!strcmp(dash, "write")) act = overwrite;
    if (!strcmp(dash, "truncate")) act = shorten;
    if (!strcmp(dash, "opencut")) act = cut;
    if (!strcmp(dash, "unlink")) act = take;
    if (!strcmp(dash, "move")) act = move;
    if (!strcmp(dash, "replace")) act = replace;
    if (!strcmp(dash, "remove_kept")) act = remove_kept;
    if (!strcmp(dash, "replace_kept")) act = replace_kept;
    if (!strcmp(dash, "cut")) act = cut_fd;
    if (!strcmp(dash, "flags")) act = clear_append;
    if (!act) return 2;
    numbered = getenv("NUMBERED") != NULL;
    if (numbered) {
        unlink(victim);
        unlink(own);
        fill_both();
    }
    strcpy(path, own);
    pthread_t thread;
    if (pthread_create(&thread, NULL, flip, NULL)) return 4;
    for (long i = 0; i < rounds; i++) act(name);
    stop = 1;
    pthread_join(thread, NULL);
    if (strstr(dash, "kept")) printf("%ld ", counted);
    if (seen) printf("seen %ld times\n", seen);
    printf("%ld\n", through);
    if (numbered) printf("%ld\n", made);
    return 0;
}
