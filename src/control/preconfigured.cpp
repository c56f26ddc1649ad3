#include "control/preconfigured.h"

namespace tessera::control {
namespace {

using catalog::ModelNotes;
using catalog::Task;

constexpr const char* kMeta = "Copyright Meta Platforms, Inc., all rights reserved";

ModelNotes llama(std::string display_name, std::vector<std::string> notes, std::string version,
                 std::string notice) {
  ModelNotes made;
  made.display_name = std::move(display_name);
  made.notes = std::move(notes);
  made.license_name = "Llama " + version + " Community License";
  made.license_holder = kMeta;
  made.license_notice = std::move(notice);
  return made;
}

// The licence comes with the weights; until then "unknown" is said, not hidden.
ModelNotes other(std::string display_name, std::vector<std::string> notes = {}) {
  ModelNotes made;
  made.display_name = std::move(display_name);
  made.notes = std::move(notes);
  made.license_name = "unknown";
  return made;
}

}  // namespace

std::vector<Preconfigured> preconfigured_endpoints(const std::string& support_contact) {
  const std::string contact = support_contact.empty() ? "your account team" : support_contact;
  return {
      {"databricks-meta-llama-3-3-70b-instruct", "llama_v3_3_70b_instruct", Task::kChat, 131'072,
       llama("Meta-Llama-3.3-70B-Instruct",
             {"Since 11 December 2024 it serves in place of Meta-Llama-3.1-70B-Instruct on "
              "pay-per-token"},
             "3.3",
             "You must comply with the Llama 3.3 Community License and with the Llama 3.3 "
             "Acceptable Use Policy")},
      {"databricks-meta-llama-3-1-405b-instruct", "llama_v3_1_405b_instruct", Task::kChat, 131'072,
       llama("Meta-Llama-3.1-405B-Instruct *",
             {"The largest openly available model of its time; built and trained by Meta, "
              "distributed by Azure Machine Learning through the AzureML model catalog",
              "* If the endpoint fails or is unstable, contact " + contact},
             "3.1", "You must comply with the applicable model licences")},
      {"databricks-dbrx-instruct", "dbrx_instruct", Task::kChat, 32'768, other("DBRX Instruct")},
      {"databricks-mixtral-8x7b-instruct", "mixtral_8x7b_instruct_v0_1", Task::kChat, 32'768,
       other("Mixtral-8x7B Instruct")},
      {"databricks-gte-large-en", "gte_large_en_v1_5", Task::kEmbeddings, 8'192,
       other("GTE Large (English)",
             {"Embeddings are not normalised, on pay-per-token and provisioned throughput alike"})},
      {"databricks-bge-large-en", "bge_large_en_v1_5", Task::kEmbeddings, 512,
       other("BGE Large (English)")},
  };
}

}  // namespace tessera::control
