// LZ4: frames (lz4_Frame_format.md 1.6.3), and the legacy frames of `lz4 -l` and the Linux kernel,
// which the library's frame interface does not read.
#include "scanner/codecs/codecs.hpp"

#include "scanner/core/reader.hpp"

#include <lz4.h>
#include <lz4frame.h>

#include <algorithm>

namespace hubgate {
namespace {

constexpr std::uint32_t k_frame_magic = 0x184d2204;
constexpr std::uint32_t k_legacy_magic = 0x184c2102;
constexpr std::uint32_t k_skippable_magic = 0x184d2a50; // up to …5f
constexpr std::size_t k_legacy_block = std::size_t{8} << 20;

class Lz4Decoder final : public StreamDecoder {
public:
  using StreamDecoder::StreamDecoder;
  ~Lz4Decoder() override { LZ4F_freeDecompressionContext(context_); }
  Lz4Decoder(const Lz4Decoder&) = delete;
  Lz4Decoder& operator=(const Lz4Decoder&) = delete;

protected:
  Begin begin_frame() override {
    Reader head(input().peek(8));
    const auto magic = head.le<std::uint32_t>();
    if (!magic) return Begin::none;
    if ((*magic & ~15u) == k_skippable_magic) {
      const auto length = head.le<std::uint32_t>();
      if (!length) return Begin::truncated;
      note_side_data("skippable frame", input().position() + 8, *length);
      input().consume(std::uint64_t{8} + *length);
      return Begin::skip;
    }
    legacy_ = *magic == k_legacy_magic;
    if (legacy_) {
      input().consume(4);
      block_.clear();
      taken_ = 0;
      return Begin::frame;
    }
    if (*magic != k_frame_magic) return Begin::none;
    if (context_ == nullptr &&
        LZ4F_isError(LZ4F_createDecompressionContext(&context_, LZ4F_VERSION)) != 0)
      return Begin::budget;
    LZ4F_resetDecompressionContext(context_);
    return Begin::frame;
  }

  Step step(Bytes in, std::span<std::uint8_t> out) override {
    return legacy_ ? legacy_step(out) : frame_step(in, out);
  }

private:
  Step frame_step(Bytes in, std::span<std::uint8_t> out) {
    std::size_t made = out.size();
    std::size_t used = in.size();
    const std::size_t code =
        LZ4F_decompress(context_, out.data(), &made, in.data(), &used, nullptr);
    if (LZ4F_isError(code) != 0) return {.used = 0, .made = 0, .progress = Progress::malformed};
    return {
        .used = used, .made = made, .progress = code == 0 ? Progress::frame_end : Progress::more};
  }

  // A legacy frame has no end mark: it ends with the input, or where a block's length is the magic
  // of another frame.
  Step legacy_step(std::span<std::uint8_t> out) {
    if (taken_ == block_.size()) {
      Reader head(input().peek(4));
      const auto length = head.le<std::uint32_t>();
      if (!length) {
        // Fewer than four bytes can't be a block; nothing at all is the regular end.
        return {.used = 0, .made = 0, .progress = Progress::frame_end};
      }
      if (*length > static_cast<std::uint32_t>(LZ4_COMPRESSBOUND(k_legacy_block)))
        return {.used = 0, .made = 0, .progress = Progress::frame_end};
      input().consume(4);
      const Bytes packed = input().peek(*length);
      block_.resize(k_legacy_block);
      const int made = LZ4_decompress_safe(
          reinterpret_cast<const char*>(packed.data()), reinterpret_cast<char*>(block_.data()),
          static_cast<int>(packed.size()), static_cast<int>(block_.size()));
      const bool cut = packed.size() < *length;
      input().consume(packed.size());
      block_.resize(made > 0 ? static_cast<std::size_t>(made) : 0);
      taken_ = 0;
      if (cut) return {.used = 0, .made = 0, .progress = Progress::truncated};
      // No encoder writes a block that decodes to nothing.
      if (made <= 0) return {.used = 0, .made = 0, .progress = Progress::malformed};
    }
    const std::size_t n = std::min(out.size(), block_.size() - taken_);
    std::copy_n(block_.begin() + static_cast<std::ptrdiff_t>(taken_), n, out.begin());
    taken_ += n;
    return {.used = 0, .made = n, .progress = Progress::more};
  }

  LZ4F_dctx* context_ = nullptr;
  bool legacy_ = false;
  std::vector<std::uint8_t> block_;
  std::size_t taken_ = 0;
};

} // namespace

DecoderPtr decode_lz4(Source& source, std::uint64_t begin, std::uint64_t end) {
  return std::make_unique<Lz4Decoder>(source, begin, end);
}

} // namespace hubgate
