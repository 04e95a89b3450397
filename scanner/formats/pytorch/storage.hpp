#pragma once
// What pickles of PyTorch say of storages: persistent ids name them, with their type and size.
// Shared by the zip, legacy and tar carriers (torch/_utils.py,
// torch/serialization.py).
#include "scanner/formats/pickle/pickle.hpp"

#include <map>
#include <string>

namespace hubgate::pytorch {

/// One storage that a pickle refers to.
struct Storage {
  std::uint64_t elements = 0;
  std::uint64_t item_size = 0; ///< bytes; 0 = a class that torch does not have
  std::uint64_t offset = 0;    ///< of the persistent id in the pickle
  std::string type;            ///< "torch.FloatStorage"
  bool conflicting = false;    ///< another id for the same key said otherwise

  /// Bytes of the whole storage; nothing when they can't be counted.
  std::optional<std::uint64_t> bytes() const;
};

/// Bytes of one element of a storage class ("torch.FloatStorage") or dtype ("torch.float32"), or 0.
std::uint64_t item_size_of(std::string_view name);

/// Collects the storages that a pickle names. (That tensors stay inside of them is the pickle
/// machine's own rule.)
class StorageObserver : public pickle::Observer {
public:
  bool on_persistent_id(const pickle::View& id, std::uint64_t offset) override;
  void on_call(const pickle::View& /*object*/, std::uint64_t /*offset*/) override { ++calls_; }

  const std::map<std::string, Storage>& storages() const { return storages_; }
  /// Calls of any kind.
  std::uint64_t calls() const { return calls_; }

private:
  std::map<std::string, Storage> storages_;
  std::uint64_t calls_ = 0;
};

} // namespace hubgate::pytorch
