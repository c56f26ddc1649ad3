// The weights of a model on disk: a Hugging Face folder of safetensors, or one GGUF file. Tensors
// go by their Hugging Face names in both cases ("model.layers.0.self_attn.q_proj.weight").
//
// Keeps the files mapped: every RawTensor is a view that lives as long as the Checkpoint, also
// after moving it. Immutable, safe from any thread.
#pragma once

#include <boost/json/fwd.hpp>
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/mapped_file.h"
#include "compute/tensor.h"
#include "models/gguf.h"

namespace tessera {

class Checkpoint {
 public:
  // Maps files and reads headers only; no weight is touched.
  // Throws Error(kIo) when there is nothing to open, Error(kBadModelFile | kUnsupportedModel).
  static Checkpoint open(const std::filesystem::path& path);

  // nullptr when absent. A tensor present in a type that nobody can read throws.
  const RawTensor* find(std::string_view name) const;
  // Throws Error(kBadModelFile) naming the tensor when absent.
  const RawTensor& get(std::string_view name) const;
  // The same, and the shape (outermost first) must be this one.
  const RawTensor& get(std::string_view name, std::initializer_list<std::int64_t> shape) const;

  bool is_gguf() const { return gguf_ != nullptr; }
  const Gguf* gguf() const { return gguf_.get(); }             // nullptr for a folder
  const std::filesystem::path& path() const { return path_; }  // the folder or the file

  // Drops the resident pages of all files, after the weights were repacked. Views stay valid.
  void release_pages() const;

  std::int64_t parameters() const { return parameters_; }  // floating-point elements stored
  std::int64_t bytes() const { return bytes_; }            // their size in the files
  const std::map<std::string, RawTensor, std::less<>>& tensors() const { return tensors_; }

 private:
  void open_folder();
  void check_total_size(const boost::json::object& index, const std::filesystem::path& file) const;
  void join_quantized();
  void open_gguf();
  void open_safetensors(const std::filesystem::path& file);
  void add(const std::filesystem::path& file, std::string name, RawTensor tensor);

  std::filesystem::path path_;
  std::vector<MappedFile> files_;
  std::unique_ptr<const Gguf> gguf_;
  std::map<std::string, RawTensor, std::less<>> tensors_;
  std::map<std::string, std::string, std::less<>> unknown_types_;
  std::int64_t parameters_ = 0, bytes_ = 0;
};

// The Hugging Face name of a GGUF tensor: "blk.0.attn_q.weight" of "llama" is
// "model.layers.0.self_attn.q_proj.weight". Names it does not know come back unchanged.
std::string huggingface_tensor_name(std::string_view architecture, std::string_view gguf_name);

}  // namespace tessera
