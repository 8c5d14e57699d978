# What calls on paths and descriptors come to, one line each: the same wherever the program runs.
import ctypes, errno, fcntl, mmap, os, socket, stat, sys, threading
libc = ctypes.CDLL(None, use_errno=True)
X86 = os.uname().machine == 'x86_64'
N = dict(openat=257, unlinkat=263, renameat2=316, linkat=265, truncate=76, ftruncate=77,
         fcntl=72) if X86 else dict(openat=56, unlinkat=35, renameat2=276, linkat=37, truncate=45,
                                    ftruncate=46, fcntl=25)
CWD = -100
def call(name, *args):
    args = [ctypes.c_long(a) if isinstance(a, int) else a for a in args]
    r = libc.syscall(ctypes.c_long(N[name]), *args)
    return r if r >= 0 else -ctypes.get_errno()
def name(r): return 'ok' if r >= 0 else errno.errorcode.get(-r, str(-r))
def say(what, r): print(what, name(r) if isinstance(r, int) else r)
def opened(path, flags, mode=0o666, dir=CWD):
    fd = call('openat', dir, path, flags, mode)
    if fd >= 0:
        os.close(fd)
    return fd
def unlink(path, flags=0, dir=CWD): return call('unlinkat', dir, path, flags)
def rename(a, b, flags=0): return call('renameat2', CWD, a, CWD, b, flags)
def link(a, b, flags=0): return call('linkat', CWD, a, CWD, b, flags)
W, C, X, T = os.O_WRONLY, os.O_CREAT, os.O_EXCL, os.O_TRUNC
os.mkdir('calls'); os.chdir('calls'); os.umask(0o027)
open('f', 'w').write('text'); os.mkdir('d'); os.mkdir('full'); open('full/x', 'w')
os.symlink('f', 'l'); os.symlink('nowhere', 'dangling'); os.symlink('loop', 'loop'); os.mkfifo('p')
os.symlink('d', 'ld'); os.symlink('d/', 'lds')

for byte in range(1, 256):
    n = b'n' + bytes([byte]) + b'n'
    r = [opened(n, W | C | X), rename(n, b'to'), link(b'to', n), unlink(n), unlink(b'to')]
    if byte == ord('/') or any(x < 0 for x in r):
        say('byte %d' % byte, ' '.join(map(name, r)))
for length in (255, 256, 4094, 4095, 4096, 5000):
    n = b'x' * length
    say('name %d' % length, ' '.join(map(name, [opened(n, W | C), unlink(n)])))
    n = b'./' * (length // 2) + b'y' * (length % 2 or 1)
    say('path %d' % length, ' '.join(map(name, [opened(n, W | C), unlink(n)])))
os.symlink('f', 's0')
for i in range(1, 45): os.symlink('s%d' % (i - 1), 's%d' % i)
for i in (38, 39, 40, 41): say('links %d' % i, opened(b's%d' % i, W))
big = '/'.join(['.'] * 2000)
os.symlink(big + '/f', 'long0')
for i in range(1, 16): os.symlink(big + '/long%d' % (i - 1), 'long%d' % i)
say('long links', opened(b'long15', W))
for n in [b'f', b'f/', b'd', b'd/', b'l', b'l/', b'ld', b'ld/', b'lds', b'dangling', b'dangling/', b'loop',
          b'loop/x', b'new', b'new/', b'none/x', b'f/x', b'.', b'..', b'./', b'', b'/', b'//', b'p', b'd/.', b'd/..',
          b'd/../f', b'f/../f', b'//proc/self/cwd/f', b'/proc/self/root/', b'/proc/thread-self/cwd/d/../f',
          b'/dev/null', b'/dev/full', b'/dev/fd/', b'/proc/self/nothing', b'/nowhere', b'/usr/bin/env', b'/etc/passwd']:
    text = n.decode()
    flags = [W, W | C, W | C | X, W | os.O_NOFOLLOW, W | os.O_DIRECTORY, os.O_RDWR | os.O_NONBLOCK, 3, os.O_RDONLY | C,
             W | C | os.O_NOFOLLOW, W | T, os.O_PATH | C | W]
    if n in (b'p',): flags = [f | os.O_NONBLOCK for f in flags]
    print('open', text, ' '.join(name(opened(n, f)) for f in flags))
    unlink(b'nowhere'); unlink(b'new'); open('f', 'w').write('text')
    # Names that are needed again are not removed.
    if n not in (b'f', b'p', b'l', b'ld', b'lds', b'dangling', b'loop', b'ld/', b'd', b'd/', b'd/../f', b'//proc/self/cwd/f',
                 b'/proc/thread-self/cwd/d/../f'):
        say('unlink ' + text, unlink(n))
    if n not in (b'd', b'd/', b'ld/'): say('rmdir ' + text, unlink(n, 0x200))
    say('rename ' + text, ' '.join(map(name, [rename(n, b'none/y'), rename(n, b'full'), rename(b'f', n + b'/x/y')])))
    say('link ' + text, ' '.join(map(name, [link(n, b'f'), link(n, b'none/x'), link(n, b'hard'), unlink(b'hard'),
                                              link(n, b'hard', 0x400), unlink(b'hard'), link(n, b'hard/')])))
    print('truncate', text, name(call('truncate', n, 4)))
say('unlink bad flags', unlink(b'f', 0x400))
for f in (1, 2, 3, 4, 5, 6, 8, 0x80000000):
    say('rename flags %d' % f, ' '.join(map(name, [rename(b'f', b'q', f), rename(b'q', b'f', f)])))
    if not os.path.isfile('f'): os.path.isfile('q') and os.rename('q', 'f')
open('e1', 'w').write('1'); open('e2', 'w').write('2')
say('exchange', rename(b'e1', b'e2', 2)); print(open('e1').read(), open('e2').read())
say('exchange kinds', rename(b'e1', b'd', 2)); say('back', rename(b'e1', b'd', 2))
say('same', rename(b'f', b'f')); say('hard', link(b'f', b'f2')); say('same file', rename(b'f', b'f2'))
print(sorted(n for n in os.listdir('.') if n in ('f', 'f2'))); os.unlink('f2')
say('into itself', rename(b'd', b'd/x/y')); say('into itself', rename(b'full', b'full/x'))
say('over full', rename(b'd', b'full')); say('file over dir', rename(b'f', b'd')); say('dir over file', rename(b'd', b'f'))
say('dir over empty', ' '.join(map(name, [call('renameat2', CWD, b'd', CWD, b'd2', 0), call('renameat2', CWD, b'd2', CWD, b'd', 0)])))
say('dir slash', ' '.join(map(name, [rename(b'd/', b'd2/'), rename(b'd2', b'd/')])))
say('link dir', link(b'd', b'dd')); say('link over', link(b'f', b'l')); say('empty path', link(b'', b'zz'))
fd = os.open('f', os.O_RDWR)
say('by descriptor', call('linkat', fd, b'', CWD, b'byfd', 0x1000)); unlink(b'byfd')
say('by link', link(b'/proc/self/fd/%d' % fd, b'bylink', 0x400)); unlink(b'bylink')
say('file as dir', opened(b'x', W | C, dir=fd)); say('bad dir', opened(b'x', W | C, dir=999))
say('absolute, bad dir', opened(os.path.abspath('f').encode(), W, dir=999)); say('negative dir', opened(b'x', W, dir=-5))
pd = os.open('d', os.O_PATH); say('path dir', opened(b'x', W | C, dir=pd)); say('unlink there', unlink(b'x', dir=pd))
for n, length in [(b'f', 10), (b'f', -1), (b'f', 0), (b'd', 0), (b'p', 0), (b'none', 0), (b'l', 3), (b'f', 1 << 62), (b'', 0)]:
    say('truncate %s %d' % (n.decode(), length), call('truncate', n, length))
print('size', os.stat('f').st_size)
pipe = os.pipe(); sock = socket.socket(socket.AF_UNIX); memory = os.memfd_create('m')
ro = os.open('f', os.O_RDONLY); pathfd = os.open('f', os.O_PATH); dirfd = os.open('d', os.O_RDONLY)
null = os.open('/dev/null', W)
for label, fd_ in [('file', fd), ('read-only', ro), ('pipe', pipe[1]), ('socket', sock.fileno()), ('memory', memory),
                   ('path', pathfd), ('dir', dirfd), ('null', null), ('none', 999), ('negative', -1)]:
    say('ftruncate ' + label, ' '.join(name(call('ftruncate', fd_, n)) for n in (7, -1, 1 << 62)))
    r = [call('fcntl', fd_, 4, f) for f in (os.O_APPEND, 0, os.O_NONBLOCK, os.O_NOATIME, 0o20000, 0)]
    say('setfl ' + label, ' '.join(map(name, r)))
print('offset', os.lseek(fd, 0, 1), os.fstat(fd).st_size)
for fl in (0, os.O_APPEND, os.O_NONBLOCK, os.O_SYNC, os.O_NOCTTY, os.O_CLOEXEC, os.O_LARGEFILE, os.O_NOATIME, os.O_NONBLOCK | os.O_APPEND):
    got = os.open('f', W | fl)
    print('flags', oct(fl), oct(fcntl.fcntl(got, fcntl.F_GETFL)), fcntl.fcntl(got, fcntl.F_GETFD)); os.close(got)
    r = call('openat', CWD, b'f', W | fl, 0); print('cloexec', fcntl.fcntl(r, fcntl.F_GETFD)); os.close(r)
for mode in (0o666, 0o777, 0, 0o1666):
    opened(b'moded', W | C, mode); print('mode', oct(os.stat('moded').st_mode)); os.unlink('moded')
os.chmod('d', 0o775); opened(b'd/g', W | C); print('group', os.stat('d/g').st_gid == os.stat('d').st_gid); os.unlink('d/g')
os.mkdir('locked'); open('locked/f', 'w'); os.chmod('locked', 0o555)
say('locked', ' '.join(map(name, [opened(b'locked/n', W | C), unlink(b'locked/f'), rename(b'locked/f', b'x'), rename(b'f', b'locked/x'), link(b'f', b'locked/x')])))
os.chmod('locked', 0o000)
say('closed', ' '.join(map(name, [opened(b'locked/f', W), unlink(b'locked/f'), opened(b'locked/../f', W)])))
os.chmod('locked', 0o755)
os.chmod('f', 0o444); say('read-only file', opened(b'f', W)); os.chmod('f', 0o644)
for address in (0, 1, 8, 0xdeadbeef000, (1 << 64) - 1 - (1 << 63)):
    say('address %x' % address, ' '.join(map(name, [opened(ctypes.c_void_p(address), W), unlink(ctypes.c_void_p(address)),
        call('renameat2', CWD, b'f', CWD, ctypes.c_void_p(address), 0)])))
m = mmap.mmap(-1, 2 * mmap.PAGESIZE)
base = ctypes.addressof(ctypes.c_char.from_buffer(m))
libc.mprotect(ctypes.c_void_p(base + mmap.PAGESIZE), ctypes.c_size_t(mmap.PAGESIZE), 0)
for text in (b'f\0', b'f', b'./f\0', b'/' * 300 + b'f\0', b'./' * 1000 + b'f\0'):
    at = mmap.PAGESIZE - len(text); m[at:mmap.PAGESIZE] = text
    say('edge', opened(ctypes.c_void_p(base + at), W))
fd2 = os.open('unl', W | C); os.unlink('unl'); say('unlinked', call('ftruncate', fd2, 3))
say('link unlinked', link(b'/proc/self/fd/%d' % fd2, b'again', 0x400))
say('reopen unlinked', opened(b'/proc/self/fd/%d' % fd2, W)); say('reopen memory', opened(b'/proc/self/fd/%d' % memory, os.O_RDWR))
say('reopen pipe', opened(b'/proc/self/fd/%d' % pipe[1], W)); say('reopen socket', opened(b'/proc/self/fd/%d' % sock.fileno(), W))
say('reopen read-only', opened(b'/proc/self/fd/%d' % ro, W)); say('reopen path', opened(b'/proc/self/fd/%d' % pathfd, W))
say('descriptor', unlink(b'/proc/self/fd/%d' % fd)); say('by dir', opened(b'/proc/self/fd/%d/new' % dirfd, W | C)); say('', unlink(b'd/new'))
os.mkdir('gone'); home = os.getcwd(); os.chdir('gone'); os.rmdir('../gone')
say('unlinked cwd', ' '.join(map(name, [opened(b'x', W | C), unlink(b'x'), opened(b'../f', W), rename(b'../f', b'x'), link(b'../f', b'x')])))
os.chdir(home)
def own():
    r = libc.unshare(0x200); os.chdir('d'); os.umask(0)
    result.append([r, opened(b'mine', W | C), os.stat('mine').st_mode & 0o777, opened(b'../f', W), unlink(b'mine')])
result = []; t = threading.Thread(target=own); t.start(); t.join(); print('own cwd', result, oct(os.umask(0o027)), os.getcwd() == home)
big = os.open('sparse', W | C); say('large', call('ftruncate', big, 1 << 40)); print(os.fstat(big).st_size); os.unlink('sparse')
os.chdir('..'); os.system('rm -rf calls'); print('left', os.path.exists('calls'))
