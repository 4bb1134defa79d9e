// The sums of all splits in their order, rounded once: the same bits in every
// run. With no split at all, the result where there is nothing to sum.
template <typename T>
METAL_FUNC void sum_splits(
    const DEVICE float* partial,
    const DEVICE T* bias,
    DEVICE T* result,
    const CONSTANT Sum* p,
    uint3 tgid,
    uint sg,
    uint lane) {
  const long element = long(tgid.x) * CT_THREADS + int(sg * 32 + lane);
  if (element >= p->elements) {
    return;
  }
  float sum = p->channels > 0 ? float(bias[int(element % p->channels)]) : 0.0f;
  for (int s = 0; s < p->splits; ++s) {
    sum += partial[long(s) * p->elements + element];
  }
  result[element] = T(sum);
}

KERNEL(CT_THREADS)
CT_NAME(
    const DEVICE float* partial BUFFER(0),
    const DEVICE CT_T* bias BUFFER(1),
    DEVICE CT_T* result BUFFER(2),
    const CONSTANT Sum* p BUFFER(3) KERNEL_IDS) {
  KERNEL_IDS_INIT
  sum_splits<CT_T>(partial, bias, result, p, tgid, sg, lane);
}
