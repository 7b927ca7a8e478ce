/* Makes the first read of each 512 kB of a file slow, as it is on a volume that is loaded lazily from a snapshot.

   Preloaded into a server. What was read once is kept in a map shared by all of its processes, so a block is
   slow once, whoever reads it. Two blocks may fall on one bit of the map; then one of them is quick.

   FIRST_READ_MAP            file of the map, made if it is not there
   FIRST_READ_MICROSECONDS   how much longer a first read takes */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define BLOCK (512 * 1024)
#define MAP_BYTES (8u << 20)

static unsigned char *map;
static useconds_t delay;

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("FIRST_READ_MAP"), *microseconds = getenv("FIRST_READ_MICROSECONDS");
    if (!path || !microseconds)
        return;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return;
    if (ftruncate(fd, MAP_BYTES) == 0) {
        void *shared = mmap(NULL, MAP_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (shared != MAP_FAILED) {
            delay = (useconds_t) strtoul(microseconds, NULL, 10);
            map = shared;
        }
    }
    close(fd);
}

static void before(int fd, uint64_t offset, uint64_t length)
{
    struct stat file;
    if (!map || !length || fstat(fd, &file) != 0 || !S_ISREG(file.st_mode))
        return;
    for (uint64_t block = offset / BLOCK; block <= (offset + length - 1) / BLOCK; block++) {
        uint64_t bit = ((uint64_t) file.st_ino * 0x9E3779B97F4A7C15u + block * 0xC2B2AE3D27D4EB4Fu) % (MAP_BYTES * 8ull);
        unsigned char mask = (unsigned char) (1u << (bit % 8));
        if (!(__atomic_fetch_or(&map[bit / 8], mask, __ATOMIC_RELAXED) & mask))
            usleep(delay);
    }
}

static uint64_t total(const struct iovec *parts, int count)
{
    uint64_t length = 0;
    for (int i = 0; i < count; i++)
        length += parts[i].iov_len;
    return length;
}

#define READ(name)                                                                \
    ssize_t name(int fd, void *buffer, size_t length, off_t offset)               \
    {                                                                             \
        static ssize_t (*next)(int, void *, size_t, off_t);                       \
        if (!next)                                                                \
            next = (ssize_t (*)(int, void *, size_t, off_t)) dlsym(RTLD_NEXT, #name); \
        before(fd, (uint64_t) offset, length);                                    \
        return next(fd, buffer, length, offset);                                  \
    }

#define READV(name)                                                               \
    ssize_t name(int fd, const struct iovec *parts, int count, off_t offset)      \
    {                                                                             \
        static ssize_t (*next)(int, const struct iovec *, int, off_t);            \
        if (!next)                                                                \
            next = (ssize_t (*)(int, const struct iovec *, int, off_t)) dlsym(RTLD_NEXT, #name); \
        before(fd, (uint64_t) offset, total(parts, count));                       \
        return next(fd, parts, count, offset);                                    \
    }

READ(pread)
READ(pread64)
READV(preadv)
READV(preadv64)
