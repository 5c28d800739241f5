{{- define "fairlead.labels" -}}
app.kubernetes.io/part-of: fairlead
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "fairlead.image" -}}
{{- $image := .image -}}
{{ with $image.registry }}{{ . }}/{{ end }}{{ $image.repository }}{{ if $image.digest }}@{{ $image.digest }}{{ else }}:{{ $image.tag | default .context.Chart.AppVersion }}{{ end }}
{{- end }}

{{- define "fairlead.watchNamespaces" -}}
{{ .Values.watchNamespaces | default (list .Release.Namespace) | toJson }}
{{- end }}

{{- define "fairlead.endpointName" -}}
fairlead-endpoint.{{ .Release.Namespace }}.svc
{{- end }}

{{- define "fairlead.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "fairlead.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "fairlead.operatorConfig" -}}
trustDomain: {{ .Values.trustDomain }}
watchNamespaces: {{ include "fairlead.watchNamespaces" . }}
log: {level: {{ .Values.operator.logLevel }}}
health: {address: "0.0.0.0:8080"}
leaderElection: {namespace: {{ .Release.Namespace }}, name: fairlead-operator}
certificates:
  namespace: {{ .Release.Namespace }}
  dnsNames: {{ concat (list (include "fairlead.endpointName" .) "fairlead-endpoint" (printf "%s.cluster.local" (include "fairlead.endpointName" .))) .Values.endpoint.dnsNames | toJson }}
  ipAddresses: {{ .Values.endpoint.ipAddresses | toJson }}
agentImage:
  registry: {{ .Values.agentImage.registry | quote }}
  repository: {{ .Values.agentImage.repository | quote }}
  tag: {{ .Values.agentImage.tag | default .Chart.AppVersion | quote }}
  digest: {{ .Values.agentImage.digest | quote }}
  pullPolicy: {{ .Values.agentImage.pullPolicy }}
endpoints:
- name: default
  dnsName: {{ include "fairlead.endpointName" . }}
  agentAddresses: {{ .Values.endpoint.agentAddresses | default (list (printf "%s:9443" (include "fairlead.endpointName" .))) | toJson }}
  api: https://{{ include "fairlead.endpointName" . }}:8443
workers: {{ .Values.operator.workers }}
driftIntervalSeconds: {{ .Values.operator.driftIntervalSeconds }}
profiles:
{{- range $name, $rules := .Values.profiles }}
- name: {{ $name }}
  clusterRole: fairlead:agent:{{ $name }}
  rules: {{ $rules | toJson }}
{{- end }}
{{- end }}

{{- define "fairlead.endpointConfig" -}}
trustDomain: {{ .Values.trustDomain }}
{{- with .Values.endpoint.database }}
{{- if .url }}
database:
  url: {{ .url | quote }}
  {{- if .passwordSecret.name }}
  passwordFile: /etc/fairlead/database/password
  {{- end }}
{{- else }}
dataDir: /var/lib/fairlead
{{- end }}
{{- end }}
agents: {address: "0.0.0.0:9443"}
rest: {address: "0.0.0.0:8443"}
log: {level: {{ .Values.endpoint.logLevel }}}
tls:
  certificateFile: /etc/fairlead/tls/tls.crt
  keyFile: /etc/fairlead/tls/tls.key
  caFile: /etc/fairlead/tls/ca.crt
  issuerCertificateFile: /etc/fairlead/tls/issuer.crt
  issuerKeyFile: /etc/fairlead/tls/issuer.key
{{- with .Values.endpoint.tokens }}
tokens: {{ toJson . }}
{{- end }}
{{- end }}
