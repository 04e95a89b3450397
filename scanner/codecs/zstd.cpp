#include "scanner/codecs/codecs.hpp"

#include "scanner/core/reader.hpp"

#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>

namespace hubgate {
namespace {

constexpr std::uint32_t k_zstd_magic = 0xfd2fb528;
constexpr std::uint32_t k_skippable_magic = 0x184d2a50; // up to …5f

class ZstdDecoder final : public StreamDecoder {
public:
  using StreamDecoder::StreamDecoder;
  ~ZstdDecoder() override { ZSTD_freeDCtx(context_); }
  ZstdDecoder(const ZstdDecoder&) = delete;
  ZstdDecoder& operator=(const ZstdDecoder&) = delete;

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
    if (*magic != k_zstd_magic) return Begin::none;
    if (context_ == nullptr) context_ = ZSTD_createDCtx();
    if (context_ == nullptr) return Begin::budget;
    ZSTD_DCtx_reset(context_, ZSTD_reset_session_only);
    ZSTD_DCtx_setParameter(context_, ZSTD_d_windowLogMax, 27); // 128 MiB, `zstd --long`
    return Begin::frame;
  }

  Step step(Bytes in, std::span<std::uint8_t> out) override {
    ZSTD_inBuffer from{in.data(), in.size(), 0};
    ZSTD_outBuffer to{out.data(), out.size(), 0};
    const std::size_t code = ZSTD_decompressStream(context_, &to, &from);
    Step did{.used = from.pos, .made = to.pos};
    if (code == 0) did.progress = Progress::frame_end;
    if (ZSTD_isError(code) != 0) {
      switch (ZSTD_getErrorCode(code)) {
      case ZSTD_error_frameParameter_windowTooLarge:
      case ZSTD_error_memory_allocation:
        did.progress = Progress::budget;
        break;
      case ZSTD_error_frameParameter_unsupported:
      case ZSTD_error_dictionary_wrong:
        did.progress = Progress::unsupported;
        break;
      default:
        did.progress = Progress::malformed;
        break;
      }
    }
    return did;
  }

private:
  ZSTD_DCtx* context_ = nullptr;
};

} // namespace

DecoderPtr decode_zstd(Source& source, std::uint64_t begin, std::uint64_t end) {
  return std::make_unique<ZstdDecoder>(source, begin, end);
}

} // namespace hubgate
