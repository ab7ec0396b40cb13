/**
 * Types of the hub's HTTP API. Written by `npm run gen` from openapi/reef.json; do not edit by hand.
 */

export interface paths {
  '/api/setup': {
    get: { responses: { 200: J<schemas['SetupState']> } }
    post: { requestBody: B<schemas['SetupRequest']>; responses: { 201: J<schemas['LoginResponse']>; default: E } }
  }
  '/api/auth/login': {
    post: { requestBody: B<schemas['LoginRequest']>; responses: { 200: J<schemas['LoginResponse']>; default: E } }
  }
  '/api/auth/logout': { post: { responses: { 204: N; default: E } } }
  '/api/auth/session': { get: { responses: { 200: J<schemas['Session']>; default: E } } }
  '/api/instances': {
    get: { responses: { 200: J<schemas['InstanceList']>; default: E } }
    post: { requestBody: B<schemas['InstanceCreate']>; responses: { 202: J<schemas['InstanceAccepted']>; default: E } }
  }
  '/api/instances/{id}': {
    get: { parameters: P<{ id: string }>; responses: { 200: J<schemas['Instance']>; default: E } }
    delete: {
      parameters: P<{ id: string }, { data: 'delete' | 'keep' }>
      responses: { 202: J<schemas['JobAccepted']>; default: E }
    }
  }
  '/api/instances/{id}/start': Action
  '/api/instances/{id}/stop': Action
  '/api/instances/{id}/restart': Action
  '/api/instances/{id}/sessions': {
    get: { parameters: P<{ id: string }>; responses: { 200: J<schemas['ChatSessionList']>; default: E } }
  }
  '/api/instances/{id}/chat/{session}/messages': {
    post: {
      parameters: P<{ id: string; session: string }>
      requestBody: B<schemas['ChatMessage']>
      responses: { 202: J<schemas['ChatAccepted']>; default: E }
    }
  }
  '/api/instances/{id}/chat/{session}/abort': {
    post: { parameters: P<{ id: string; session: string }>; responses: { 204: N; default: E } }
  }
  '/api/jobs/{id}/cancel': {
    post: { parameters: P<{ id: string }>; responses: { 200: J<schemas['JobAccepted']>; default: E } }
  }
  '/api/agents': { get: { responses: { 200: J<schemas['AgentKinds']>; default: E } } }
  '/api/providers': {
    get: { responses: { 200: J<schemas['ProviderList']>; default: E } }
    post: { requestBody: B<schemas['ProviderCreate']>; responses: { 201: J<schemas['Provider']>; default: E } }
  }
  '/api/providers/{name}': {
    delete: { parameters: P<{ name: string }>; responses: { 204: N; default: E } }
  }
  '/api/system': { get: { responses: { 200: J<schemas['SystemReport']>; default: E } } }
}

type schemas = components['schemas']
type J<T> = { content: { 'application/json': T } }
type N = { content?: never }
type E = J<schemas['ErrorBody']>
type B<T> = { content: { 'application/json': T } }
type P<Path, Query = never> = [Query] extends [never] ? { path: Path } : { path: Path; query: Query }
type Action = {
  post: {
    parameters: P<{ id: string }>
    responses: { 200: J<schemas['InstanceAccepted']>; 202: J<schemas['InstanceAccepted']>; default: E }
  }
}

export interface components {
  schemas: {
    ErrorBody: { error: components['schemas']['ErrorDetail'] }
    ErrorDetail: {
      code: string
      message: string
      requestId: string
      field?: string | null
      details: Record<string, unknown>
    }
    SetupState: { required: boolean }
    SetupRequest: { code: string; name: string; password: string }
    LoginRequest: { name: string; password: string }
    User: { id: string; name: string }
    LoginResponse: { user: components['schemas']['User'] }
    Session: { user: components['schemas']['User']; via: string }
    AgentRef: { kind: string; version: string }
    Egress: 'closed' | 'open'
    Resources: { memoryBytes: number; cpusMilli: number; pids: number }
    Desired: 'running' | 'stopped' | 'deleted'
    Phase:
      | 'pending'
      | 'preparing'
      | 'starting'
      | 'running'
      | 'degraded'
      | 'stopping'
      | 'stopped'
      | 'failed'
      | 'deleting'
    Availability: 'ready' | 'initializing' | 'unreachable' | 'stopped'
    GatewayState: 'ok' | 'unreachable'
    Condition: { type: string; status: boolean; reason: string; message: string; since: string }
    Enforcement: { limit: string; enforced: boolean; reason: string }
    ResourceReport: {
      requested: components['schemas']['Resources']
      enforced: components['schemas']['Enforcement'][]
    }
    EndpointView: { url: string }
    UsageView: { costMicros: number; inputTokens: number; outputTokens: number }
    Instance: {
      id: string
      name: string
      displayName?: string | null
      driver: string
      agent: components['schemas']['AgentRef']
      phase: components['schemas']['Phase']
      availability: components['schemas']['Availability']
      gateway: components['schemas']['GatewayState']
      desired: components['schemas']['Desired']
      generation: number
      observedGeneration: number
      conditions: components['schemas']['Condition'][]
      createdAt: string
      startedAt?: string | null
      endpoint: components['schemas']['EndpointView']
      resources: components['schemas']['ResourceReport']
      egress: components['schemas']['Egress']
      labels: { [key: string]: string }
      model?: string | null
      lastActivityAt?: string | null
      nextCronAt?: string | null
      usage: components['schemas']['UsageView']
      job?: components['schemas']['Job'] | null
    }
    InstanceList: { updatedAt: string; instances: components['schemas']['Instance'][] }
    InstanceCreate: {
      name: string
      displayName?: string | null
      driver?: string | null
      agent?: components['schemas']['AgentRef'] | null
      model?: string | null
      resources?: components['schemas']['Resources'] | null
      egress?: components['schemas']['Egress']
      labels?: { [key: string]: string }
    }
    InstanceAccepted: { instance: components['schemas']['Instance']; job?: components['schemas']['Job'] | null }
    JobAccepted: { job: components['schemas']['Job'] }
    JobKind: 'instance_start' | 'instance_stop' | 'instance_delete' | 'agent_install' | 'agent_remove'
    JobState: 'queued' | 'running' | 'done' | 'failed' | 'cancelled'
    Progress: { step: string; done: number; total: number; unit: string }
    Job: {
      id: string
      kind: components['schemas']['JobKind']
      state: components['schemas']['JobState']
      instanceId?: string | null
      progress: components['schemas']['Progress']
      reason?: string | null
      message?: string | null
      createdAt: string
      updatedAt: string
    }
    ChatRole: 'user' | 'assistant' | 'thinking' | 'tool' | 'error' | 'system'
    ChatItem: {
      id: string
      role: components['schemas']['ChatRole']
      text: string
      streaming: boolean
      tool?: string | null
      at?: string | null
    }
    ChatRun: { id: string; phase: string; message?: string | null }
    ChatSession: {
      key: string
      title?: string | null
      model?: string | null
      updatedAt?: string | null
      inputTokens: number
      outputTokens: number
    }
    ChatSessionList: { items: components['schemas']['ChatSession'][]; nextCursor?: string | null }
    ChatMessage: { text: string }
    ChatAccepted: { runId: string }
    InstalledAgent: { kind: string; version: string; sizeBytes: number; installedAt: string }
    AgentKind: {
      kind: string
      defaultVersion: string
      testedVersions: string[]
      installed: components['schemas']['InstalledAgent'][]
    }
    AgentKinds: { kinds: components['schemas']['AgentKind'][] }
    ProviderModel: { id: string; name: string }
    Provider: {
      name: string
      kind: string
      baseUrl?: string | null
      builtIn: boolean
      models: components['schemas']['ProviderModel'][]
    }
    ProviderList: { items: components['schemas']['Provider'][] }
    ProviderCreate: { name: string; kind: 'openai' | 'anthropic'; baseUrl: string; apiKey: string; models: string[] }
    SystemCheck: { name: string; ok: boolean; message: string }
    SystemReport: {
      version: string
      checks: components['schemas']['SystemCheck'][]
      limits: components['schemas']['Enforcement'][]
    }
  }
}
