// What honest pickles use of PyTorch. A checkpoint of weights needs the first few rows; whole
// modules are pickled by class, and what these do is up to the installed package (module_class).
#include "scanner/formats/pickle/names.hpp"

#include <array>

namespace hubgate::pickle {
namespace {

constexpr std::string_view k_storages =
    "FloatStorage DoubleStorage HalfStorage BFloat16Storage ByteStorage CharStorage ShortStorage "
    "IntStorage LongStorage BoolStorage ComplexFloatStorage ComplexDoubleStorage QUInt8Storage "
    "QInt8Storage QInt32Storage QUInt4x2Storage QUInt2x4Storage Quint8Storage TypedStorage "
    "UntypedStorage";

constexpr std::array k_allowed{
    Allowed{"torch._utils",
            "_rebuild_tensor _rebuild_tensor_v2 _rebuild_tensor_v3 _rebuild_parameter "
            "_rebuild_parameter_with_state _rebuild_qtensor _rebuild_sparse_tensor "
            "_rebuild_sparse_csr_tensor _rebuild_meta_tensor_no_storage "
            "_rebuild_device_tensor_from_numpy _rebuild_device_tensor_from_cpu_tensor "
            "_rebuild_nested_tensor _rebuild_wrapper_subclass _rebuild_xla_tensor "
            "_rebuild_hpu_tensor _rebuild_ort_tensor _rebuild_mlc_tensor",
            Use::tensor},
    Allowed{"torch._tensor", "_rebuild_from_type_v2 _rebuild_from_type", Use::from_type},
    Allowed{"torch.storage", "_load_from_bytes", Use::load_bytes},
    Allowed{"torch", k_storages, Use::reference},
    Allowed{"torch.storage", k_storages, Use::reference},
    Allowed{"torch.cuda", k_storages, Use::reference},
    Allowed{"torch",
            "float float16 float32 float64 half double bfloat16 int int8 int16 int32 int64 short "
            "long uint8 uint16 uint32 uint64 bool complex32 complex64 complex128 chalf cfloat "
            "cdouble qint8 quint8 qint32 quint4x2 quint2x4 float8_e4m3fn float8_e5m2 "
            "float8_e4m3fnuz float8_e5m2fnuz float8_e8m0fnu float4_e2m1fn_x2 strided sparse_coo "
            "sparse_csr sparse_csc sparse_bsr sparse_bsc per_tensor_affine per_channel_affine "
            "per_tensor_symmetric per_channel_symmetric contiguous_format channels_last "
            "preserve_format",
            Use::reference},
    Allowed{"torch", "Size device Tensor Generator dtype layout memory_format", Use::object},
    Allowed{"torch",
            "FloatTensor DoubleTensor HalfTensor BFloat16Tensor ByteTensor CharTensor ShortTensor "
            "IntTensor LongTensor BoolTensor",
            Use::object},
    Allowed{"torch.serialization", "_get_layout", Use::value},
    // TorchScript's lists and typed values: they return their argument.
    Allowed{"torch.jit._pickle",
            "build_intlist build_doublelist build_boollist build_tensorlist restore_type_tag",
            Use::value},
    Allowed{"torch.nn.parameter", "Parameter Buffer UninitializedParameter", Use::object},
    Allowed{"torch.nn", "Parameter", Use::object},
    Allowed{"torch.utils.data.dataset", "TensorDataset Subset ConcatDataset", Use::object},
    Allowed{"torch._C", "_TensorBase", Use::object},

    Allowed{"torch.nn.modules.linear",
            "Linear Identity Bilinear LazyLinear NonDynamicallyQuantizableLinear",
            Use::module_class},
    Allowed{"torch.nn.modules.conv",
            "Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d",
            Use::module_class},
    Allowed{"torch.nn.modules.batchnorm", "BatchNorm1d BatchNorm2d BatchNorm3d SyncBatchNorm",
            Use::module_class},
    Allowed{"torch.nn.modules.instancenorm", "InstanceNorm1d InstanceNorm2d InstanceNorm3d",
            Use::module_class},
    Allowed{"torch.nn.modules.normalization",
            "LayerNorm GroupNorm LocalResponseNorm CrossMapLRN2d RMSNorm", Use::module_class},
    Allowed{
        "torch.nn.modules.activation",
        "ReLU ReLU6 LeakyReLU PReLU ELU SELU CELU GELU SiLU Mish Sigmoid Tanh Softmax Softmax2d "
        "LogSoftmax Softplus Softsign Softshrink Hardtanh Hardswish Hardsigmoid Hardshrink "
        "Tanhshrink Threshold GLU LogSigmoid MultiheadAttention RReLU Softmin",
        Use::module_class},
    Allowed{"torch.nn.modules.container",
            "Sequential ModuleList ModuleDict ParameterList ParameterDict", Use::module_class},
    Allowed{"torch.nn.modules.dropout",
            "Dropout Dropout1d Dropout2d Dropout3d AlphaDropout FeatureAlphaDropout",
            Use::module_class},
    Allowed{"torch.nn.modules.pooling",
            "MaxPool1d MaxPool2d MaxPool3d AvgPool1d AvgPool2d AvgPool3d AdaptiveAvgPool1d "
            "AdaptiveAvgPool2d AdaptiveAvgPool3d AdaptiveMaxPool1d AdaptiveMaxPool2d "
            "AdaptiveMaxPool3d MaxUnpool2d LPPool2d FractionalMaxPool2d",
            Use::module_class},
    Allowed{"torch.nn.modules.padding",
            "ZeroPad2d ConstantPad1d ConstantPad2d ConstantPad3d ReflectionPad1d ReflectionPad2d "
            "ReplicationPad1d ReplicationPad2d ReplicationPad3d",
            Use::module_class},
    Allowed{"torch.nn.modules.sparse", "Embedding EmbeddingBag", Use::module_class},
    Allowed{"torch.nn.modules.rnn", "RNN LSTM GRU RNNCell LSTMCell GRUCell", Use::module_class},
    Allowed{"torch.nn.modules.transformer",
            "Transformer TransformerEncoder TransformerDecoder TransformerEncoderLayer "
            "TransformerDecoderLayer",
            Use::module_class},
    Allowed{"torch.nn.modules.flatten", "Flatten Unflatten", Use::module_class},
    Allowed{"torch.nn.modules.upsampling", "Upsample UpsamplingNearest2d UpsamplingBilinear2d",
            Use::module_class},
    Allowed{"torch.nn.modules.pixelshuffle", "PixelShuffle PixelUnshuffle", Use::module_class},
    Allowed{"torch.nn.modules.fold", "Fold Unfold", Use::module_class},
    Allowed{
        "torch.nn.modules.loss",
        "CrossEntropyLoss MSELoss L1Loss SmoothL1Loss NLLLoss BCELoss BCEWithLogitsLoss KLDivLoss "
        "HuberLoss CTCLoss TripletMarginLoss CosineEmbeddingLoss MarginRankingLoss",
        Use::module_class},
};

} // namespace

std::span<const Allowed> allowed_torch() {
  return k_allowed;
}

} // namespace hubgate::pickle
