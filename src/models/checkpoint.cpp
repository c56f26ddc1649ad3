#include "models/checkpoint.h"

#include <algorithm>
#include <boost/json/object.hpp>
#include <set>
#include <span>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "base/strings.h"
#include "models/json_file.h"
#include "models/quantization.h"
#include "models/safetensors.h"

namespace tessera {

namespace fs = std::filesystem;

namespace {

[[noreturn]] void bad_file(const fs::path& file, const std::string& what) {
  throw Error(ErrorKind::kBadModelFile, file.string() + ": " + what);
}

std::string shape_text(const auto& shape) {
  std::string text = "[";
  for (const std::int64_t dimension : shape) {
    text += (text.size() > 1 ? ", " : "") + std::to_string(dimension);
  }
  return text + "]";
}

// A weight file named by the folder itself: no path, and no link to somewhere else. Links into the
// blobs of the Hugging Face cache, from which its snapshot folders are made, are fine.
fs::path weight_file(const fs::path& folder, const std::string& name, const fs::path& named_by) {
  if (name.empty() || name == "." || name == ".." ||
      name.find_first_of(std::string_view("/\\\0", 3)) != std::string::npos) {
    bad_file(named_by, "weight file name '" + name + "' is not a plain file name");
  }
  const fs::path file = folder / name;
  std::error_code error;
  const fs::path real = fs::canonical(file, error);
  if (error) bad_file(named_by, "names weight file '" + name + "', which is missing");
  const fs::path home = fs::canonical(folder);
  const fs::path blobs = home.parent_path().filename() == "snapshots"
                             ? home.parent_path().parent_path() / "blobs"
                             : home;
  const auto is_inside = [&](const fs::path& parent) {
    return std::mismatch(parent.begin(), parent.end(), real.begin(), real.end()).first ==
           parent.end();
  };
  if (!is_inside(home) && !is_inside(blobs)) {
    bad_file(file, "is a link that leaves the model folder");
  }
  return file;
}

// Encoders saved from a task head have a prefix, BERT of 2018 the old names of LayerNorm.
std::string modern_name(std::string name) {
  if (name.starts_with("bert.")) name.erase(0, 5);
  if (name.starts_with("new.")) name.erase(0, 4);
  if (name.ends_with(".gamma")) name.replace(name.size() - 5, 5, "weight");
  if (name.ends_with(".beta")) name.replace(name.size() - 4, 4, "bias");
  return name;
}

// "name-00002-of-00005.gguf" -> the same for part `number` (from 1); empty when not of that form.
std::string split_name(const std::string& name, std::int64_t number, std::int64_t count) {
  constexpr std::size_t kTail = sizeof "-00001-of-00001.gguf" - 1;
  if (name.size() < kTail || number > 99999 || count > 99999) return {};
  const auto digits = [](std::int64_t value) {
    const std::string text = std::to_string(value);
    return std::string(5 - text.size(), '0') + text;
  };
  const std::string tail = name.substr(name.size() - kTail);
  if (tail[0] != '-' || tail.substr(6) != "-of-" + digits(count) + ".gguf") return {};
  return name.substr(0, name.size() - kTail) + "-" + digits(number) + tail.substr(6);
}

bool is_weight_type(DType dtype) {
  switch (dtype) {
    case DType::kI8:
    case DType::kU8:
    case DType::kI16:
    case DType::kI32:
    case DType::kI64:
    case DType::kBool:
      return false;
    default:
      return true;
  }
}

}  // namespace

Checkpoint Checkpoint::open(const fs::path& path) {
  Checkpoint checkpoint;
  checkpoint.path_ = path;
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (!fs::exists(status)) {
    throw Error(ErrorKind::kIo, "model path '" + path.string() + "' does not exist");
  }
  if (fs::is_directory(status)) {
    checkpoint.open_folder();
    checkpoint.join_quantized();
  } else {
    checkpoint.open_gguf();
  }
  for (const auto& [name, tensor] : checkpoint.tensors_) {
    if (!is_weight_type(tensor.dtype)) continue;
    checkpoint.parameters_ += tensor.elements();
    if (tensor.source == nullptr) checkpoint.bytes_ += tensor.bytes();
  }
  return checkpoint;
}

void Checkpoint::add(const fs::path& file, std::string name, RawTensor tensor) {
  name = modern_name(std::move(name));
  if (unknown_types_.contains(name) || !tensors_.emplace(name, std::move(tensor)).second) {
    bad_file(file, "tensor '" + name + "' is already in another weight file");
  }
}

void Checkpoint::open_safetensors(const fs::path& file) {
  const MappedFile& mapped = files_.emplace_back(file);
  SafetensorsFile parsed = parse_safetensors(mapped.bytes(), file.string());
  for (auto& [name, tensor] : parsed.tensors) {
    tensor.file = mapped.bytes();
    add(file, name, std::move(tensor));
  }
  for (auto& [stored_name, type] : parsed.unknown_types) {
    const std::string name = modern_name(stored_name);
    if (tensors_.contains(name) || !unknown_types_.emplace(name, type).second) {
      bad_file(file, "tensor '" + name + "' is already in another weight file");
    }
  }
}

// The index may be wrong about the sum without harm: some tools count padding or old shards.
void Checkpoint::check_total_size(const boost::json::object& index, const fs::path& file) const {
  const auto* metadata = index.if_contains("metadata");
  if (metadata == nullptr || !metadata->is_object()) return;
  const auto* total = metadata->get_object().if_contains("total_size");
  if (total == nullptr || !total->is_int64()) return;
  std::int64_t bytes = 0;
  for (const auto& [name, tensor] : tensors_) bytes += tensor.bytes();
  if (bytes != total->get_int64() && unknown_types_.empty()) {
    log_warn("models", "total_size differs from the sum of the tensors",
             {{"file", file.string()}, {"total_size", total->get_int64()}, {"sum", bytes}});
  }
}

void Checkpoint::open_folder() {
  const fs::path index_file = path_ / "model.safetensors.index.json";
  if (const auto index = read_json_file(index_file, 256u << 20)) {
    const auto* root = index->if_object();
    const auto* map_value = root == nullptr ? nullptr : root->if_contains("weight_map");
    const auto* map = map_value == nullptr ? nullptr : map_value->if_object();
    if (map == nullptr) bad_file(index_file, "field 'weight_map' must be an object");
    std::map<std::string, std::vector<std::string>> wanted;  // file -> tensors
    for (const auto& [tensor, file] : *map) {
      const auto* file_name = file.if_string();
      if (file_name == nullptr) {
        bad_file(index_file, "weight_map of tensor '" + std::string(tensor) + "' must be a string");
      }
      wanted[std::string(*file_name)].emplace_back(tensor);
    }
    // Files are opened one after the other and share no tensor, so a tensor that is there before
    // the file it is mapped to was opened lies somewhere else.
    const auto present = [&](const std::string& tensor) {
      const std::string name = modern_name(tensor);
      return tensors_.contains(name) || unknown_types_.contains(name);
    };
    for (const auto& [name, tensors] : wanted) {
      const bool early = std::any_of(tensors.begin(), tensors.end(), present);
      open_safetensors(weight_file(path_, name, index_file));
      for (const std::string& tensor : tensors) {
        if (early || !present(tensor)) {
          bad_file(index_file, "maps tensor '" + tensor + "' to '" + name + "', which lacks it");
        }
      }
    }
    check_total_size(*root, index_file);
    return;
  }
  if (fs::exists(path_ / "model.safetensors")) {
    open_safetensors(weight_file(path_, "model.safetensors", path_));
    return;
  }
  std::set<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(path_)) {
    if (entry.path().extension() == ".safetensors") names.insert(entry.path().filename().string());
  }
  for (const std::string& name : names) open_safetensors(weight_file(path_, name, path_));
  if (files_.empty()) {
    throw Error(ErrorKind::kIo,
                "model folder '" + path_.string() +
                    "' holds no .safetensors file (pickled .bin and .pt files are never opened)");
  }
}

// The pieces of quantised matrices become matrices.
void Checkpoint::join_quantized() {
  const auto file = read_object(path_ / "config.json");
  if (!file) return;  // read_config() will say so
  const auto stored = [&] {
    std::int64_t bytes = 0;
    for (const auto& [name, tensor] : tensors_) {
      if (tensor.source == nullptr) bytes += tensor.bytes();
    }
    return bytes;
  };
  const std::int64_t before = stored();
  try {
    apply_quantization(file->fields(), tensors_);
  } catch (Error& error) {
    if (error.message.starts_with("tensor ")) error.message = path_.string() + ": " + error.message;
    throw;
  }
  bytes_ = before - stored();  // of the pieces
}

void Checkpoint::open_gguf() {
  const MappedFile& mapped = files_.emplace_back(path_);
  if (mapped.size() < 4 ||
      std::string_view(reinterpret_cast<const char*>(mapped.data()), 4) != "GGUF") {
    bad_file(path_, "is neither a folder nor a GGUF file");
  }
  auto first = std::make_unique<Gguf>(Gguf::parse(mapped.bytes(), path_.string()));
  const std::string architecture(first->text("general.architecture").value_or(""));
  const auto add_all = [&](const fs::path& file, const Gguf& gguf,
                           std::span<const std::byte> bytes) {
    for (const auto& [name, tensor] : gguf.tensors()) {
      RawTensor view = tensor;
      view.file = bytes;
      add(file, huggingface_tensor_name(architecture, name), std::move(view));
    }
  };
  add_all(path_, *first, mapped.bytes());

  const std::int64_t parts = first->integer("split.count").value_or(1);
  if (parts > 1) {
    const std::string own = path_.filename().string();
    if (first->integer("split.no").value_or(0) != 0) {
      bad_file(path_, "is a later part of a split model; open the first, '" +
                          split_name(own, 1, parts) + "'");
    }
    for (std::int64_t part = 2; part <= parts; ++part) {
      const std::string name = split_name(own, part, parts);
      if (name.empty()) {
        bad_file(path_, "is the first of " + std::to_string(parts) +
                            " parts, but is not named like 'model-00001-of-0000N.gguf'");
      }
      const fs::path file =
          weight_file(path_.parent_path().empty() ? "." : path_.parent_path(), name, path_);
      const std::span<const std::byte> bytes = files_.emplace_back(file).bytes();
      const Gguf gguf = Gguf::parse(bytes, file.string());
      if (gguf.integer("split.no").value_or(-1) != part - 1) {
        bad_file(file, "key 'split.no' must be " + std::to_string(part - 1));
      }
      add_all(file, gguf, bytes);
    }
    const auto total = first->integer("split.tensors.count");
    if (total && *total != static_cast<std::int64_t>(tensors_.size())) {
      bad_file(path_, "key 'split.tensors.count' is " + std::to_string(*total) +
                          ", but the parts hold " + std::to_string(tensors_.size()) + " tensors");
    }
  }
  gguf_ = std::move(first);
}

void Checkpoint::release_pages() const {
  for (const MappedFile& file : files_) file.release_pages();
}

const RawTensor* Checkpoint::find(std::string_view name) const {
  const auto found = tensors_.find(name);
  if (found != tensors_.end()) return &found->second;
  const auto unknown = unknown_types_.find(name);
  if (unknown != unknown_types_.end()) {
    throw Error(ErrorKind::kUnsupportedModel, path_.string() + ": tensor '" + std::string(name) +
                                                  "' has type " + unknown->second +
                                                  ", which is not supported");
  }
  return nullptr;
}

const RawTensor& Checkpoint::get(std::string_view name) const {
  if (const RawTensor* tensor = find(name)) return *tensor;
  bad_file(path_, "tensor '" + std::string(name) + "' is missing");
}

const RawTensor& Checkpoint::get(std::string_view name,
                                 std::initializer_list<std::int64_t> shape) const {
  const RawTensor& tensor = get(name);
  if (!std::equal(tensor.shape.begin(), tensor.shape.end(), shape.begin(), shape.end())) {
    bad_file(path_, "tensor '" + std::string(name) + "' has shape " + shape_text(tensor.shape) +
                        ", wanted " + shape_text(shape));
  }
  return tensor;
}

}  // namespace tessera
