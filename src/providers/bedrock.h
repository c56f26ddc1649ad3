// Amazon Bedrock: models of several vendors, each in its vendor's form (InvokeModel), or all in one
// (Converse). https://docs.aws.amazon.com/bedrock/latest/APIReference/
#pragma once

#include <string>
#include <string_view>

#include "providers/provider.h"

namespace tessera::providers {

// By bedrock_provider and bedrock_chat_api; vendors without a form here speak Converse. Never
// nullptr.
const Provider* find_bedrock(const catalog::ExternalModel& model);

// The id of a configured name: names without their vendor's prefix get it; ids, inference profiles,
// ARNs and names of provisioned models are as they are.
std::string bedrock_model_id(const catalog::ExternalModel& model);

}  // namespace tessera::providers
