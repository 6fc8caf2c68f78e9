# SPDX-License-Identifier: Apache-2.0
# How every target of ours is compiled, in one place.

add_library(monsoon_options INTERFACE)
# cxx_options(OPTION...): of our C++, not of our CUDA.
function(cxx_options)
  foreach(option IN LISTS ARGN)
    target_compile_options(monsoon_options INTERFACE
      $<$<COMPILE_LANGUAGE:CXX>:${option}>)
  endforeach()
endfunction()
cxx_options(
  -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Wconversion
  -Wno-sign-conversion -Werror
  # Members that a designated initializer leaves out have their defaults.
  -Wno-missing-field-initializers
  # GCC 12 sees overlaps in std::string that are not there (GCC bug 105651).
  $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>
  # Vectors wider than the processor's pass between our own functions alone.
  $<$<CXX_COMPILER_ID:GNU>:-Wno-psabi>
  # Bit-identical results need a * b + c to mean the same in every file.
  -ffp-contract=off)
# Kernels are lambdas; what is behind -Xcompiler is for the processor's part.
target_compile_options(monsoon_options INTERFACE
  "$<$<COMPILE_LANGUAGE:CUDA>:--extended-lambda;--Werror=all-warnings;-Xcompiler=-Wall,-Wextra,-Werror,-Wno-missing-field-initializers>")
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  # Pragmas of GCC that only say what loops may assume.
  cxx_options(-Wthread-safety -Wno-unknown-pragmas)
endif()
if(CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64" AND MONSOON_ARCH)
  cxx_options(-march=${MONSOON_ARCH})
endif()
if(MONSOON_MUTANTS)
  target_compile_definitions(monsoon_options INTERFACE MONSOON_MUTANTS)
endif()
if(MONSOON_SANITIZE)
  cxx_options(
    -fsanitize=${MONSOON_SANITIZE} -fno-sanitize-recover=all
    -fno-omit-frame-pointer
    # Headers of protobuf add members for a sanitizer, the packaged libraries
    # were built without them.
    -U__SANITIZE_THREAD__ -U__SANITIZE_ADDRESS__)
  target_link_options(monsoon_options INTERFACE -fsanitize=${MONSOON_SANITIZE})
endif()
if(MONSOON_SANITIZE STREQUAL "thread")
  add_library(monsoon_tsan_mutex OBJECT cmake/tsan_mutex.cc)
  target_include_directories(monsoon_tsan_mutex PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(monsoon_tsan_mutex PRIVATE monsoon_options)
endif()

# What most files of a large target include is read once for all of them:
# headers of others alone, as ours change. Of tests, and of everything where
# MONSOON_PRECOMPILE is on; in the release build every file of the product
# includes what it uses.
function(monsoon_precompile target)
  get_target_property(sources ${target} SOURCES)
  list(LENGTH sources count)
  if(count GREATER 5)
    target_precompile_headers(${target} PRIVATE
      <algorithm> <atomic> <cstdint> <functional> <map> <memory> <optional>
      <string> <vector> <absl/status/statusor.h> <absl/strings/str_cat.h>
      <absl/synchronization/mutex.h> <absl/time/time.h> ${ARGN})
    # Else ccache keeps nothing of them.
    target_compile_options(${target} PRIVATE
      $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-fpch-preprocess>)
  endif()
endfunction()

# monsoon_library(NAME SOURCES a.cc ... DEPS target ...)
# An OBJECT library, so that self-registering objects are never dropped by the
# linker. Includes start at the root of the repository.
function(monsoon_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_library(monsoon_${name} OBJECT ${ARG_SOURCES})
  target_include_directories(monsoon_${name} PUBLIC ${PROJECT_SOURCE_DIR})
  target_link_libraries(monsoon_${name}
    PUBLIC ${ARG_DEPS} PRIVATE monsoon_options)
  if(MONSOON_PRECOMPILE)
    monsoon_precompile(monsoon_${name})
  endif()
endfunction()

# monsoon_cuda_library(NAME SOURCES a.cu b.cc ... DEPS target ...)
# A library whose sources use CUDA; empty where this build does not.
function(monsoon_cuda_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  if(NOT MONSOON_HAS_CUDA)
    set(ARG_SOURCES ${PROJECT_SOURCE_DIR}/cuda/nothing.cc)
  endif()
  monsoon_library(${name} SOURCES ${ARG_SOURCES} DEPS ${ARG_DEPS})
  if(MONSOON_HAS_CUDA)
    target_include_directories(monsoon_${name}
      SYSTEM PUBLIC ${MONSOON_CUDA_HEADERS})
    target_link_libraries(monsoon_${name}
      PUBLIC CUDA::cudart_static ${CMAKE_DL_LIBS})
  endif()
endfunction()

# monsoon_emulated_library(NAME SOURCES a.cu b.cc ... DEPS target ...)
# The same sources for the processor, to be linked with an emulated GPU.
function(monsoon_emulated_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  set_source_files_properties(${ARG_SOURCES} PROPERTIES LANGUAGE CXX)
  monsoon_library(${name} SOURCES ${ARG_SOURCES} DEPS ${ARG_DEPS})
  target_compile_options(monsoon_${name} PRIVATE -x c++)
  target_include_directories(monsoon_${name}
    SYSTEM PUBLIC ${MONSOON_CUDA_HEADERS})
endfunction()

# monsoon_embed(OUTPUT HEADER function file ...)
# A source file OUTPUT in which each function of HEADER returns the bytes of its
# file, as they are when the program is built.
function(monsoon_embed output header)
  set(functions "")
  set(files "")
  while(ARGN)
    list(POP_FRONT ARGN name file)
    list(APPEND functions ${name})
    list(APPEND files ${file})
  endwhile()
  add_custom_command(
    OUTPUT ${output}
    COMMAND ${CMAKE_COMMAND} -DOUTPUT=${output} -DHEADER=${header}
            "-DFUNCTIONS=${functions}" "-DFILES=${files}"
            -P ${PROJECT_SOURCE_DIR}/cmake/embed.cmake
    DEPENDS ${PROJECT_SOURCE_DIR}/cmake/embed.cmake ${files}
    VERBATIM)
endfunction()

# Every object of the named libraries of ours, once each: OBJECT libraries hand
# on their usage requirements, but not their objects.
function(monsoon_link target)
  foreach(name IN LISTS ARGN)
    target_link_libraries(${target} PRIVATE monsoon_${name})
  endforeach()
  target_link_libraries(${target} PRIVATE monsoon_options
    $<TARGET_NAME_IF_EXISTS:monsoon_tsan_mutex>)
endfunction()

# monsoon_binary(NAME SOURCES main.cc LIBRARIES base trainers ...)
function(monsoon_binary name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBRARIES" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  set_target_properties(${name} PROPERTIES MONSOON_LIBRARIES "${ARG_LIBRARIES}")
  monsoon_link(${name} ${ARG_LIBRARIES})
  if(MONSOON_PRECOMPILE)
    monsoon_precompile(${name})
  endif()
endfunction()

# How the own sources of a target of tests are compiled: a quarter to a third
# faster than with -O3, and for sanitizers than with -O1.
function(monsoon_test_sources target)
  target_compile_options(${target} PRIVATE
    $<$<AND:$<CONFIG:Release>,$<COMPILE_LANGUAGE:CXX>>:-O1>)
  if(MONSOON_SANITIZE)
    target_compile_options(${target} PRIVATE -O0)
  endif()
  monsoon_precompile(${target} <catch2/catch.hpp>)
endfunction()

# monsoon_test(NAME SOURCES x_test.cc ... LIBRARIES base ...)
# One Catch2 binary; each of its test cases is a test of CTest.
function(monsoon_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBRARIES" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  monsoon_link(${name} ${ARG_LIBRARIES})
  target_link_libraries(${name} PRIVATE monsoon_test_main)
  monsoon_test_sources(${name})
  target_compile_definitions(${name} PRIVATE
    MONSOON_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
    MONSOON_BINARY_DIR="${CMAKE_RUNTIME_OUTPUT_DIRECTORY}")
  catch_discover_tests(${name} TEST_PREFIX "${name}: " ${ARG_UNPARSED_ARGUMENTS}
    PROPERTIES TIMEOUT 300)
endfunction()
