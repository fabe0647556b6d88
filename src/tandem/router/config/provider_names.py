"""The providers of upstream's catalogue (release 0.4.0)."""

#: They speak OpenAI's chat completions and take the key as a bearer token.
PROVIDERS = frozenset(
    (
        *("agnes", "aion", "amd-atom", "apodex", "baidu-ai-studio", "baidu-qianfan", "cerebras", "celeris"),
        *("cloudflare-workers-ai", "cohere", "cometapi", "compactifai", "dashscope", "deepinfra", "deepseek"),
        *("docker-model-runner", "featherless", "fireworks", "friendli", "gemini", "groq", "hugging-face"),
        *("inception", "lemonade", "lm-studio", "meta", "minimax", "mistral", "moonshot", "nebius", "novita"),
        *("nvidia-nim", "nvidia-riva", "ollama", "openai", "openai-compatible", "openrouter", "perplexity"),
        *("sakana", "sambanova", "sglang", "snowflake-cortex", "stepfun", "together", "triton", "upstage"),
        *("vercel-ai-gateway", "vllm", "volcengine-ark", "writer", "xai", "xinference", "zai"),
    )
)
#: They speak another protocol, or take the key in another way.
OTHER_PROVIDERS = frozenset(
    (
        *("anthropic", "anthropic-compatible", "azure-openai", "bedrock", "microsoft-foundry", "reka"),
        *("sarvam", "vertex-ai", "xiaomi"),
    )
)
