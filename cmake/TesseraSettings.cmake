# How every target is compiled.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  # Results are shared between checkouts, and precompiled headers are understood.
  set(CMAKE_CXX_COMPILER_LAUNCHER
      ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      ${CCACHE_PROGRAM})
endif()

set(TESSERA_PCH OFF)
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
  set(TESSERA_PCH ON)
  add_compile_options(-fpch-preprocess)
endif()

option(TESSERA_TESTS "Build the unit tests" ON)
option(TESSERA_BENCHMARKS "Build the benchmark programs" ON)
option(TESSERA_FUZZ "Build the fuzz targets (needs clang)" OFF)
set(TESSERA_SANITIZE "" CACHE STRING "address,undefined or thread")

add_compile_options(-Wall -Wextra -Wno-missing-field-initializers)
# False alarms of g++ 12: on "literal" + std::string (gcc.gnu.org/PR105651), and where it inlines the
# operator new of a coroutine's frame but not its operator delete (address sanitizer sees the pairs).
add_compile_options($<$<CXX_COMPILER_ID:GNU>:-Wno-restrict> $<$<CXX_COMPILER_ID:GNU>:-Wno-mismatched-new-delete>)
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND NOT TESSERA_SANITIZE)
  # What its optimiser believes of strings and variants that it has inlined; the sanitizers look.
  add_compile_options(-Wno-maybe-uninitialized -Wno-array-bounds -Wno-stringop-overflow
                      -Wno-stringop-overread)
endif()
if(TESSERA_SANITIZE)
  add_compile_options(-fsanitize=${TESSERA_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=undefined)
  add_link_options(-fsanitize=${TESSERA_SANITIZE})
endif()
if(TESSERA_FUZZ)
  # Coverage for the code under test; the libFuzzer main is linked into the targets only.
  # Without `function`, which clang cannot apply to coroutines (llvm-project issue 49689).
  add_compile_options(-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize=function
                      -fno-sanitize-recover=undefined)
  add_link_options(-fsanitize=address,undefined)
endif()

find_package(Threads REQUIRED)
find_package(OpenSSL REQUIRED)
