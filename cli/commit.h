// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace monsoon {

// The commit that this program was built from: "70c27ad0e1f2", with "-dirty"
// where files differed from it; "unknown" where there is no repository.
extern const char* const kCommit;

}  // namespace monsoon
