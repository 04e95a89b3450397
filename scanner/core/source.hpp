#pragma once
// Source: random access by offset over an object that may still be arriving. A format reads it
// like a file; reads wait for bytes that have not come. A short read is the end: why it ended is
// kept in fault() and turned into a gap by the engine, so a format handles one case, "no more".
#include "scanner/core/bytes.hpp"

#include <memory>
#include <optional>
#include <vector>

namespace hubgate {

/// Why a source ended before the end that its size promised.
enum class Fault {
  none,
  truncated,   ///< the sender stopped early
  discarded,   ///< the bytes were given up (Session::rest_is_inert) and can't be read back
  budget,      ///< a decoder ran out of budget
  malformed,   ///< a decoder met bytes that it can't decode
  unsupported, ///< a decoder met a variant of its codec that it does not read
  io,          ///< reading failed
};

class Source {
public:
  virtual ~Source() = default;

  /// Length in bytes if it is known already, else nothing. Does not wait. May turn out too large
  /// (a cut transfer) but never too small.
  virtual std::optional<std::uint64_t> size() = 0;

  /// The bytes at [offset, offset + n), fewer only where the source ends. Waits for them to come.
  /// Valid until the next call on this source. Contiguous: keep n small (at most 1 MiB, or what a
  /// format has proven that it needs).
  virtual Bytes view(std::uint64_t offset, std::size_t n) = 0;

  /// What is there now from `offset` on, at least one byte unless the source ends there, at most
  /// `n`. For linear readers that work with what has come. Valid like view().
  virtual Bytes some(std::uint64_t offset, std::size_t n) { return view(offset, n); }

  /// True when reading back is cheap and no byte is still on its way.
  virtual bool random_access() = 0;

  /// Waits for the end and returns the true length.
  virtual std::uint64_t wait_end() = 0;

  virtual Fault fault() const { return Fault::none; }
};

/// Bytes in memory. The caller keeps them alive.
class MemorySource final : public Source {
public:
  explicit MemorySource(Bytes bytes) : bytes_(bytes) {}
  std::optional<std::uint64_t> size() override { return bytes_.size(); }
  Bytes view(std::uint64_t offset, std::size_t n) override;
  bool random_access() override { return true; }
  std::uint64_t wait_end() override { return bytes_.size(); }

private:
  Bytes bytes_;
};

/// A window [offset, offset + length) of another source, which must outlive it.
class SubSource final : public Source {
public:
  SubSource(Source& parent, std::uint64_t offset, std::uint64_t length)
      : parent_(parent), offset_(offset), length_(length) {}
  std::optional<std::uint64_t> size() override { return length_; }
  Bytes view(std::uint64_t offset, std::size_t n) override;
  Bytes some(std::uint64_t offset, std::size_t n) override;
  bool random_access() override { return parent_.random_access(); }
  std::uint64_t wait_end() override;
  Fault fault() const override { return parent_.fault(); }

private:
  Source& parent_;
  std::uint64_t offset_;
  std::uint64_t length_;
};

/// From `offset` to whatever end the parent turns out to have.
class TailSource final : public Source {
public:
  TailSource(Source& parent, std::uint64_t offset) : parent_(parent), offset_(offset) {}
  std::optional<std::uint64_t> size() override;
  Bytes view(std::uint64_t offset, std::size_t n) override;
  Bytes some(std::uint64_t offset, std::size_t n) override;
  bool random_access() override { return parent_.random_access(); }
  std::uint64_t wait_end() override;
  Fault fault() const override { return parent_.fault(); }

private:
  Source& parent_;
  std::uint64_t offset_;
};

/// A stream decoder: bytes out, in order. The codecs implement it.
class Decoder {
public:
  enum class State { more, end, malformed, truncated, unsupported, budget };
  virtual ~Decoder() = default;
  /// Starts again from the first byte.
  virtual void restart() = 0;
  /// Writes up to out.size() bytes, returns how many; 0 only when state() is not `more`.
  virtual std::size_t produce(std::span<std::uint8_t> out) = 0;
  virtual State state() const = 0;
};

class Budget;

/// A decoder seen as a source: keeps a window of what was decoded last (Limits::decode_window) and
/// decodes again from the start when something before it is wanted; both cost budget.
class DecodedSource final : public Source {
public:
  DecodedSource(std::unique_ptr<Decoder> decoder, Budget& budget);
  std::optional<std::uint64_t> size() override;
  Bytes view(std::uint64_t offset, std::size_t n) override;
  bool random_access() override;
  std::uint64_t wait_end() override;
  Fault fault() const override;
  const Decoder& decoder() const { return *decoder_; }

private:
  bool fill(std::uint64_t end);

  std::unique_ptr<Decoder> decoder_;
  Budget& budget_;
  std::vector<std::uint8_t> window_; ///< decoded bytes [window_begin_, produced_)
  std::uint64_t window_begin_ = 0;
  std::uint64_t produced_ = 0;
  bool ended_ = false;
  Fault fault_ = Fault::none;
};

} // namespace hubgate
