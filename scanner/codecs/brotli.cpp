#include "scanner/codecs/codecs.hpp"

#include <brotli/decode.h>

namespace hubgate {
namespace {

// RFC 7932. The stream has neither magic nor checksum: who names the codec is the container.
class BrotliDecoder final : public StreamDecoder {
public:
  using StreamDecoder::StreamDecoder;
  ~BrotliDecoder() override { BrotliDecoderDestroyInstance(brotli_); }
  BrotliDecoder(const BrotliDecoder&) = delete;
  BrotliDecoder& operator=(const BrotliDecoder&) = delete;

protected:
  Begin begin_frame() override {
    if (input().peek(1).empty()) return Begin::none;
    BrotliDecoderDestroyInstance(brotli_);
    brotli_ = BrotliDecoderCreateInstance(nullptr, nullptr, nullptr);
    return brotli_ == nullptr ? Begin::budget : Begin::frame;
  }

  Step step(Bytes in, std::span<std::uint8_t> out) override {
    std::size_t in_left = in.size();
    const std::uint8_t* from = in.data();
    std::size_t out_left = out.size();
    std::uint8_t* to = out.data();
    const auto result =
        BrotliDecoderDecompressStream(brotli_, &in_left, &from, &out_left, &to, nullptr);
    Step did{.used = in.size() - in_left, .made = out.size() - out_left};
    if (result == BROTLI_DECODER_RESULT_SUCCESS) did.progress = Progress::frame_end;
    if (result == BROTLI_DECODER_RESULT_ERROR) did.progress = Progress::malformed;
    return did;
  }

  bool single_frame() const override { return true; }

private:
  BrotliDecoderState* brotli_ = nullptr;
};

} // namespace

DecoderPtr decode_brotli(Source& source, std::uint64_t begin, std::uint64_t end) {
  return std::make_unique<BrotliDecoder>(source, begin, end);
}

} // namespace hubgate
