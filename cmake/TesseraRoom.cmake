# The shared precompiled header, for every room but compute/, whose sources differ in their target
# flags and must stay free of inline library code.
function(tessera_precompile target room)
  if(TESSERA_PCH AND NOT room STREQUAL "compute")
    target_precompile_headers(${target} REUSE_FROM tessera_boost)
  endif()
endfunction()

# tessera_room(<name> DEPS <rooms…> LIBS <libraries…> SOURCES <…> TESTS <…>)
# One static library per room, one test binary for the tests beside its sources.
function(tessera_room name)
  cmake_parse_arguments(ROOM "" "" "DEPS;LIBS;SOURCES;TESTS" ${ARGN})
  add_library(tessera_${name} STATIC ${ROOM_SOURCES})
  target_include_directories(tessera_${name} PUBLIC ${CMAKE_SOURCE_DIR}/src)
  list(TRANSFORM ROOM_DEPS PREPEND tessera_)
  target_link_libraries(tessera_${name} PUBLIC ${ROOM_DEPS} ${ROOM_LIBS} Threads::Threads)
  tessera_precompile(tessera_${name} ${name})
  if(TESSERA_TESTS AND ROOM_TESTS)
    find_package(GTest REQUIRED)
    add_executable(${name}_test ${ROOM_TESTS})
    target_link_libraries(${name}_test PRIVATE tessera_${name} GTest::gtest GTest::gtest_main)
    target_compile_definitions(${name}_test PRIVATE TESSERA_SOURCE_DIR=".")
    tessera_precompile(${name}_test ${name})
    # Goldens are found relative to the repository, so that ccache serves any checkout.
    add_test(NAME ${name} COMMAND ${name}_test WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
    if(TESSERA_SANITIZE MATCHES thread)
      set_tests_properties(${name} PROPERTIES ENVIRONMENT
                           "TSAN_OPTIONS=suppressions=${CMAKE_SOURCE_DIR}/tests/tsan.supp")
    endif()
  endif()
endfunction()

# tessera_fuzz(<name> DEPS <rooms…> SOURCE tests/fuzz/<name>.cpp): a libFuzzer target fuzz_<name>.
function(tessera_fuzz name)
  if(NOT TESSERA_FUZZ)
    return()
  endif()
  cmake_parse_arguments(FUZZ "" "SOURCE" "DEPS" ${ARGN})
  foreach(room IN LISTS FUZZ_DEPS)
    if(NOT TARGET tessera_${room})
      return()  # TESSERA_ROOMS leaves it out
    endif()
  endforeach()
  add_executable(fuzz_${name} ${CMAKE_SOURCE_DIR}/${FUZZ_SOURCE})
  list(TRANSFORM FUZZ_DEPS PREPEND tessera_)
  target_link_libraries(fuzz_${name} PRIVATE ${FUZZ_DEPS})
  target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
endfunction()
