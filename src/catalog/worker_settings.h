// The settings of a worker that a served entity's environment_vars may carry. They are read again
// by `tessera worker` (--help there says what each does); here they are looked at before an
// endpoint is made of them, so that a slip of the pen is told to whoever made it.
#pragma once

#include <string_view>

namespace tessera::catalog {

// Throws Error(kInvalidParameterValue) with field `at` when `name` begins with TESSERA_ and is no
// setting of a worker, or `value` is none that it takes. Other names are the user's own.
void check_worker_setting(std::string_view name, std::string_view value, std::string_view at);

}  // namespace tessera::catalog
