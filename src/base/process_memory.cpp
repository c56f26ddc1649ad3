#include "base/process_memory.h"

#if defined(__GLIBC__)
#include <dlfcn.h>
#include <link.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <mutex>
#endif

namespace tessera {

#if defined(__GLIBC__)

namespace {

// With a fault the kernel maps up to 64 KiB around the address, as far as the pages are cached and
// the mapping reaches. Of code that is used here and there, that is four times what is used: 9 MB
// instead of 2.2 of a worker's. No advice turns it off (MADV_RANDOM is about reading ahead), but it
// ends where a mapping ends, and two neighbours with different flags are two mappings. The flag is
// MADV_DONTDUMP, which means nothing for code: core files leave pages of files out anyway.
//
// The price: a mapping takes 200 bytes of the kernel's memory, 3,700 of them 0.8 MB. Hence no finer
// stretches than are of use: the C and C++ libraries are used in single pages, the executable in
// runs of them, and of larger libraries (TLS, ICU's data) next to nothing once the model is loaded.
constexpr std::uintptr_t kExecutableStretch = 8 << 10, kLibraryStretch = 4 << 10;
constexpr std::uintptr_t kLargestLibrary = 4 << 20;

struct Segment {
  std::uintptr_t begin, end;
};

// Those that were never writable: they hold nothing but what their file holds.
template <class Act>
void for_constant_segments(const dl_phdr_info& object, const Act& act) {
  const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  for (int i = 0; i < object.dlpi_phnum; ++i) {
    const ElfW(Phdr)& segment = object.dlpi_phdr[i];
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_W) != 0) continue;
    const std::uintptr_t address = object.dlpi_addr + segment.p_vaddr;
    act(Segment{address / page * page, (address + segment.p_memsz + page - 1) / page * page});
  }
}

void advise(std::uintptr_t begin, std::uintptr_t end, int advice) {
  madvise(reinterpret_cast<void*>(begin), end - begin, advice);
}

int split_constant_segments(dl_phdr_info* object, std::size_t, void*) {
  const bool is_executable = object->dlpi_name[0] == '\0';
  const std::uintptr_t stretch = is_executable ? kExecutableStretch : kLibraryStretch;
  std::uintptr_t size = 0;
  for_constant_segments(*object, [&](const Segment& s) { size += s.end - s.begin; });
  if (!is_executable && size > kLargestLibrary) return 0;
  for_constant_segments(*object, [&](const Segment& segment) {
    // The first stretch is left as it is: core files keep the headers in it.
    std::uintptr_t begin = segment.begin / stretch * stretch + stretch;
    for (; begin < segment.end; begin += 2 * stretch) {
      advise(begin, std::min(begin + stretch, segment.end), MADV_DONTDUMP);
    }
  });
  return 0;
}

int drop_constant_segments(dl_phdr_info* object, std::size_t, void*) {
  for_constant_segments(
      *object, [](const Segment& segment) { advise(segment.begin, segment.end, MADV_DONTNEED); });
  return 0;
}

// Where mimalloc takes the place of malloc, malloc_trim() knows nothing of its memory. Found by
// name, since only the tessera binary is linked with it.
void release_mimalloc_memory() {
  using Set = void (*)(int option, long value);
  using Collect = void (*)(bool force);
  static const auto set = reinterpret_cast<Set>(dlsym(RTLD_DEFAULT, "mi_option_set"));
  static const auto collect = reinterpret_cast<Collect>(dlsym(RTLD_DEFAULT, "mi_collect"));
  if (set == nullptr || collect == nullptr) return;
  // It keeps what was freed for 25 ms and until its owner allocates again, which a worker that
  // rests does not: 1.1 MB of one. At 0 it is given back at once.
  constexpr int kPurgeDelay = 15;  // mi_option_decommit_delay; from 2.1 on mi_option_purge_delay
  set(kPurgeDelay, 0);
  collect(true);
}

}  // namespace

void release_startup_memory() {
  malloc_trim(0);
  release_mimalloc_memory();
  static std::once_flag split;
  std::call_once(split, [] { dl_iterate_phdr(split_constant_segments, nullptr); });
  dl_iterate_phdr(drop_constant_segments, nullptr);
}

#else

void release_startup_memory() {}

#endif

}  // namespace tessera
