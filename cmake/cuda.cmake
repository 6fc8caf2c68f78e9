# SPDX-License-Identifier: Apache-2.0
# The CUDA toolkit with cuDNN, where there is one. Sets MONSOON_HAS_CUDA, whether
# programs are linked with it, and MONSOON_CUDA_HEADERS, which are enough for
# tests that emulate a GPU (tests/cuda).

set(MONSOON_CUDA "AUTO" CACHE STRING
    "Build for GPUs too: ON, OFF, or AUTO where the CUDA toolkit is found")
set(MONSOON_CUDA_ARCHITECTURES "80-real;90" CACHE STRING
    "GPUs to compile for, as CMAKE_CUDA_ARCHITECTURES; newer ones compile the
     last at their start")
set(toolkit /usr/local/cuda)

find_path(MONSOON_CUDA_INCLUDE cublasLt.h
  HINTS ${CUDAToolkit_ROOT} $ENV{CUDA_PATH} ${toolkit} PATH_SUFFIXES include)
find_path(MONSOON_CUDNN_INCLUDE cudnn.h
  HINTS ${CUDAToolkit_ROOT} $ENV{CUDA_PATH} ${toolkit} PATH_SUFFIXES include)
set(MONSOON_CUDA_HEADERS "")
if(MONSOON_CUDA_INCLUDE AND MONSOON_CUDNN_INCLUDE)
  set(MONSOON_CUDA_HEADERS ${MONSOON_CUDA_INCLUDE} ${MONSOON_CUDNN_INCLUDE})
  list(REMOVE_DUPLICATES MONSOON_CUDA_HEADERS)
endif()

set(MONSOON_HAS_CUDA OFF)
if(NOT MONSOON_CUDA STREQUAL "OFF")
  find_program(MONSOON_NVCC nvcc
    HINTS ENV CUDACXX ${CUDAToolkit_ROOT}/bin $ENV{CUDA_PATH}/bin ${toolkit}/bin)
  if(MONSOON_NVCC AND MONSOON_CUDA_HEADERS)
    # An nvcc that cannot compile is as good as none.
    include(CheckLanguage)
    set(ENV{CUDACXX} ${MONSOON_NVCC})
    if(NOT CMAKE_CUDA_COMPILER)  # it may have been mended since
      unset(CMAKE_CUDA_COMPILER CACHE)
    endif()
    check_language(CUDA)
  endif()
  if(MONSOON_CUDA_HEADERS AND CMAKE_CUDA_COMPILER)
    set(MONSOON_HAS_CUDA ON)
    set(CMAKE_CUDA_ARCHITECTURES ${MONSOON_CUDA_ARCHITECTURES})
    enable_language(CUDA)
    if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake 3.25 knows of no C++20
      set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
      set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
    endif()
    find_package(CUDAToolkit REQUIRED)
    message(STATUS "GPUs: CUDA ${CMAKE_CUDA_COMPILER_VERSION}, for "
                   "${MONSOON_CUDA_ARCHITECTURES}")
  elseif(MONSOON_CUDA STREQUAL "ON")
    message(FATAL_ERROR
      "MONSOON_CUDA is ON and the CUDA toolkit is not complete: nvcc is "
      "\"${MONSOON_NVCC}\" and has to compile, cublasLt.h is in \"${MONSOON_CUDA_INCLUDE}\", cudnn.h "
      "in \"${MONSOON_CUDNN_INCLUDE}\"; install what is missing, or point "
      "CUDAToolkit_ROOT there")
  else()
    message(STATUS "GPUs: none, this build is for the processor alone (no CUDA "
                   "toolkit with cuDNN was found that works; docs/gpu.md)")
  endif()
else()
  message(STATUS "GPUs: none, as MONSOON_CUDA is OFF")
endif()
