#include <gtest/gtest.h>

#include "models/model.h"

namespace tessera {
namespace {}
}  // namespace tessera
