# SPDX-License-Identifier: Apache-2.0
# Writes OUTPUT, a source file that says which commit SOURCE is at, where that
# has changed: cmake -DSOURCE=... -DOUTPUT=... -P commit.cmake
cmake_minimum_required(VERSION 3.25)
set(commit "unknown")
# Not the repository of another project that holds a copy of this one.
if(EXISTS ${SOURCE}/.git)
  execute_process(
    COMMAND git -C ${SOURCE} describe --always --dirty --abbrev=12 --exclude=*
    OUTPUT_VARIABLE described ERROR_QUIET OUTPUT_STRIP_TRAILING_WHITESPACE
    RESULT_VARIABLE failed)
  if(NOT failed AND described MATCHES "^[0-9a-f]+(-dirty)?$")
    set(commit "${described}")
  endif()
endif()
file(CONFIGURE OUTPUT ${OUTPUT} @ONLY CONTENT
"// SPDX-License-Identifier: Apache-2.0
#include \"cli/commit.h\"

namespace monsoon {

const char* const kCommit = \"@commit@\";

}  // namespace monsoon
")
