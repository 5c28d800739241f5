{{- /* The same objects as operator/model/agent_objects.cc renders; tools/check/charts.py (make charts) holds them equal. */ -}}
{{- define "fairlead-agent.id" -}}
{{ .Values.id | default (printf "%s/%s" .Release.Namespace .Release.Name | sha256sum | trunc 12) }}
{{- end }}

{{- define "fairlead-agent.name" -}}
fairlead-agent-{{ include "fairlead-agent.id" . }}
{{- end }}

{{- define "fairlead-agent.serviceAccount" -}}
{{ .Values.access.existingServiceAccount | default (include "fairlead-agent.name" .) }}
{{- end }}

{{- define "fairlead-agent.metadata" -}}
name: {{ include "fairlead-agent.name" . }}
namespace: {{ .Release.Namespace }}
labels: {{- include "fairlead-agent.labels" . | nindent 2 }}
{{- end }}

{{- define "fairlead-agent.labels" -}}
app.kubernetes.io/name: fairlead-agent
app.kubernetes.io/part-of: fairlead
app.kubernetes.io/managed-by: {{ .Release.Service }}
fairlead.dev/agent: {{ include "fairlead-agent.id" . | quote }}
{{- end }}

{{- define "fairlead-agent.podLabels" -}}
{{ merge (include "fairlead-agent.labels" . | fromYaml) .Values.agent.podLabels | toYaml }}
{{- end }}

{{- define "fairlead-agent.subjects" -}}
- kind: ServiceAccount
  name: {{ include "fairlead-agent.serviceAccount" . }}
  namespace: {{ .Release.Namespace }}
{{- end }}

{{- define "fairlead-agent.image" -}}
{{- with .Values.agent.image }}
{{- with .registry }}{{ . }}/{{ end }}{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{- /* What must be said, and cannot be defaulted. */ -}}
{{- define "fairlead-agent.require" -}}
{{- if not .Values.account }}{{ fail "account: say which account at the endpoint this cluster is" }}{{ end -}}
{{- if not .Values.identity }}{{ fail "identity: say under which identity the agent enrols, one of the account's" }}{{ end -}}
{{- if not .Values.endpoint.addresses }}{{ fail "endpoint.addresses: say where the endpoint is: at least one host:port" }}{{ end -}}
{{- if not .Values.endpoint.name }}{{ fail "endpoint.name: say which name the endpoint's certificate has" }}{{ end -}}
{{- if not .Values.bootstrapSecret }}{{ fail "bootstrapSecret: name a Secret with the keys token and ca.crt" }}{{ end -}}
{{- with .Values.access }}
{{- if .existingServiceAccount }}
{{- else if not (hasKey $.Values.profiles .profile) }}{{ fail (printf "access.profile: there is no profile %q; there are %s" .profile (keys $.Values.profiles | sortAlpha | join ", ")) }}
{{- else if not .level }}{{ fail "access.level: say Cluster, or Namespaces with access.namespaces" }}
{{- else if and (eq .level "Namespaces") (not .namespaces) }}{{ fail "access.namespaces: an empty list never means everything; name namespaces, or say level: Cluster" }}
{{- else if and (eq .level "Cluster") .namespaces }}{{ fail "access.namespaces: is for level Namespaces only" }}
{{- end }}
{{- end }}
{{- end }}

{{- define "fairlead-agent.config" -}}
endpoints: {{ .Values.endpoint.addresses | toJson }}
serverName: {{ .Values.endpoint.name | quote }}
trustBundleFile: /etc/fairlead/bootstrap/ca.crt
identity:
  name: {{ .Values.identity | quote }}
  dir: /var/lib/fairlead/identity
  tokenFile: /etc/fairlead/bootstrap/token
identitySecret:
  namespace: {{ .Release.Namespace }}
  name: {{ include "fairlead-agent.name" . }}-identity
health: {address: "0.0.0.0:8080"}
{{- if ne .Values.agent.logLevel "info" }}
log: {level: {{ .Values.agent.logLevel }}}
{{- end }}
accounts:
- name: {{ .Values.account | quote }}
  connection: {inCluster: {}}
{{- end }}

{{- define "fairlead-agent.spread" -}}
maxSkew: 1
topologyKey: {{ .topology }}
whenUnsatisfiable: {{ .context.Values.agent.spread }}
labelSelector:
  matchLabels: {fairlead.dev/agent: {{ include "fairlead-agent.id" .context | quote }}}
{{- end }}

{{- define "fairlead-agent.pod" -}}
serviceAccountName: {{ include "fairlead-agent.serviceAccount" . }}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  seccompProfile: {type: RuntimeDefault}
terminationGracePeriodSeconds: 10
containers:
- name: agent
  image: {{ include "fairlead-agent.image" . | quote }}
  imagePullPolicy: {{ .Values.agent.image.pullPolicy }}
  args: [--config, /etc/fairlead/config/agent.yaml]
  ports:
  - {name: health, containerPort: 8080, protocol: TCP}
  livenessProbe:
    httpGet: {path: /healthz, port: health}
    periodSeconds: 10
    failureThreshold: 3
  # A standby is ready as well: it has a session.
  readinessProbe:
    httpGet: {path: /readyz, port: health}
    periodSeconds: 2
    failureThreshold: 3
  resources: {{- toYaml .Values.agent.resources | nindent 4 }}
  securityContext:
    allowPrivilegeEscalation: false
    readOnlyRootFilesystem: true
    capabilities: {drop: [ALL]}
  volumeMounts:
  - {name: config, mountPath: /etc/fairlead/config, readOnly: true}
  - {name: bootstrap, mountPath: /etc/fairlead/bootstrap, readOnly: true}
  - {name: identity, mountPath: /var/lib/fairlead/identity}
volumes:
- name: config
  configMap: {name: {{ include "fairlead-agent.name" . }}}
- name: bootstrap
  secret: {secretName: {{ .Values.bootstrapSecret }}}
- name: identity
  emptyDir: {medium: Memory, sizeLimit: 1Mi}
{{- with .Values.agent.imagePullSecrets }}
imagePullSecrets:
{{- range . }}
- name: {{ . }}
{{- end }}
{{- end }}
{{- with .Values.agent.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.agent.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.agent.tolerations }}
tolerations: {{- toYaml . | nindent 0 }}
{{- end }}
topologySpreadConstraints:
- {{- include "fairlead-agent.spread" (dict "topology" "kubernetes.io/hostname" "context" .) | nindent 2 }}
- {{- include "fairlead-agent.spread" (dict "topology" "topology.kubernetes.io/zone" "context" .) | nindent 2 }}
{{- end }}

{{- /* Ten digits over everything that would restart a pod. */ -}}
{{- define "fairlead-agent.revision" -}}
{{ dict "config" (include "fairlead-agent.config" . | fromYaml) "labels" (include "fairlead-agent.podLabels" . | fromYaml) "pod" (include "fairlead-agent.pod" . | fromYaml) | toJson | sha256sum | trunc 10 }}
{{- end }}
