# SPDX-License-Identifier: Apache-2.0
# cmake -DOUTPUT=page.cc -DHEADER=folder/page.h -DFUNCTIONS=A;B
#       -DFILES=a.html;b.css -P embed.cmake
# writes a source file in which each function of the header returns its file.

set(source "#include \"${HEADER}\"\n\nnamespace monsoon {\n")
foreach(function file IN ZIP_LISTS FUNCTIONS FILES)
  file(READ ${file} bytes HEX)
  string(REGEX REPLACE "(................................)" "\\1\n" bytes "${bytes}")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
  string(APPEND source "
static const unsigned char k${function}[] = {
${bytes}0};
absl::string_view ${function}() {
  return {reinterpret_cast<const char*>(k${function}), sizeof k${function} - 1};
}
")
endforeach()
string(APPEND source "\n}  // namespace monsoon\n")
file(WRITE ${OUTPUT} "${source}")
